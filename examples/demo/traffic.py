"""Sends the requests and follows the generations to their ends, with a progress bar."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from examples.demo.children import DemoFailed
from examples.demo.fates import FATES, Fate

FINAL = frozenset({"completed", "failed", "cancelled"})
SETTLED_S = 3.0  # so long a failed one may still be put back for another try
BETWEEN_S, ALL_DONE_S = 0.4, 90
STYLES = {"completed": "green", "failed": "red"}


@dataclass
class Sent:
    """One request; `id` is empty where it made no generation, `status` the last one seen."""

    fate: Fate
    id: str = ""
    status: str = ""
    since: float = 0.0
    told: bool = False

    @property
    def is_over(self) -> bool:
        settled_s = SETTLED_S if self.status == "failed" else 0
        return self.status in FINAL and time.monotonic() - self.since >= settled_s

    @property
    def as_expected(self) -> bool:
        return not self.id or self.status == self.fate.ends


class Traffic:
    """All requests of the demo; `check` is called in between and raises when a process died."""

    def __init__(self, api: str, to: Console, check: Callable[[], None]) -> None:
        self.check = check
        self.client = httpx.Client(base_url=f"{api}/api/v1", timeout=30, trust_env=False)
        columns = (
            TextColumn("  "),
            BarColumn(30),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
        )
        self.progress = Progress(*columns, console=to, transient=True)
        self.bar = TaskID(0)

    def run(self) -> list[Sent]:
        """Returns them when each has ended, in the order in which they were sent."""
        sent: list[Sent] = []
        end = time.monotonic() + ALL_DONE_S
        with self.client, self.progress:
            self.bar = self.progress.add_task("", total=len(FATES))
            for fate in FATES:
                self._say("sending")
                sent.append(self._send(fate))
                self._look(sent)
                time.sleep(BETWEEN_S)
            while waiting := [one for one in sent if not one.told]:
                if time.monotonic() > end:
                    late = ", ".join(f"{o.id} is {o.status} ({o.fate.story})" for o in waiting)
                    raise DemoFailed(f"not all generations ended within {ALL_DONE_S} s: {late}")
                self._say(f"waiting for {len(waiting)}")
                time.sleep(0.2)
                self._look(waiting)
        return sent

    def _send(self, fate: Fate) -> Sent:
        answer = self._ask("POST", "/generations", json=fate.body)
        one = Sent(fate)
        if fate.refused and answer.status_code == fate.refused:
            self._tell(one, "-", "refused")
        elif answer.status_code != 201:
            raise DemoFailed(f"the API answered HTTP {answer.status_code}: {answer.text[:200]}")
        elif fate.repeats:
            self._tell(one, str(answer.json()["id"]), "returned")
        else:
            one.id = str(answer.json()["id"])
        return one

    def _look(self, sent: list[Sent]) -> None:
        """Asks once how all are, and tells of those that have ended."""
        rows = self._ask("GET", "/generations", params={"limit": 200}).json()
        statuses = {str(row["id"]): row["status"] for row in rows}
        for one in sent:
            if one.told:
                continue
            if one.status != statuses[one.id]:
                one.status, one.since = statuses[one.id], time.monotonic()
            if one.is_over:
                self._tell(one, one.id, one.status)

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return self.client.request(method, path, **more)
        except httpx.HTTPError as error:
            self.check()
            raise DemoFailed(f"the API did not answer {method} {path}: {error!r}") from None
        finally:
            self.check()

    def _say(self, what: str) -> None:
        self.progress.update(self.bar, description=what)

    def _tell(self, one: Sent, id_: str, status: str) -> None:
        one.told = True
        story = one.fate.story + ("" if one.as_expected else f" (expected: {one.fate.ends})")
        line = Text(f"  {id_:>3}  ").append(f"{status:<10}", STYLES.get(status, "dim"))
        self.progress.console.print(line.append(f" {story}"))
        self.progress.advance(self.bar)
