"""`python -m tools.real_host`: starts the host, tries the scenarios, prints the table."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tools.real_host import checks, environment, table
from tools.real_host.connections import CONNECTIONS
from tools.real_host.day import SECRETS, Case, Day
from tools.real_host.host import ACCOUNTS, USER, real_host
from tools.real_host.planted import PLANTED
from tools.real_host.private import private_in
from tools.real_host.scenarios import ALONE, TOGETHER
from tools.real_host.telemetry import TELEMETRY, TRACE_HEADERS

BY_ITSELF = {**ALONE, **CONNECTIONS, **PLANTED, **TELEMETRY}
KNOWN = [*TOGETHER, *BY_ITSELF]
POLL_S, OLD_POLL_S = 6.0, 12.0
"""A poll every 2 s at first, then less often; once it was every 10 s. A busy host is later."""


def main() -> int:
    """Exit code 0: everything was as it should be; 1: something was not, and was said."""
    options = _options()
    checkout = options.checkout.resolve()
    venv = options.venv or Path(tempfile.gettempdir()) / "gentrace-real-host" / _digest(checkout)
    environment.prepare(checkout, venv, options.source, options.reinstall)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="gentrace-real-host-"))
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with real_host(checkout, venv, folder, workers=2) as host:
        day = Day(host)
        day.configure(auto_retry_enabled=False, max_jobs_per_user=100)
        _warm_up(day)
        failed = _run(day, options.scenarios, options.load)
        if not day.written(day.cases):
            day.remarks.append("some runs were not written in time")
        told = _private(day)
        statuses = host.database.statuses()
    report, fine = _report(options.label or checkout.name, day, statuses, failed)
    report += f"\n{told}\n\n{time.monotonic() - started:.0f} s; everything is in {folder}\n"
    print(report)
    if options.out:
        options.out.write_text(report, encoding="utf-8")
    if not options.keep and options.folder is None:
        shutil.rmtree(folder)
    return 0 if fine and told.startswith("private: none") else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="real_host", description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True, help="the host's source")
    parser.add_argument("--label", help="the table's first column; the folder's name")
    parser.add_argument("--scenarios", default=",".join(KNOWN), help=", ".join(KNOWN))
    parser.add_argument("--load", type=int, default=0, help="so many besides, 10 at a time")
    parser.add_argument("--out", type=Path, help="writes the report there, too")
    parser.add_argument("--venv", type=Path, help="the host's virtual environment")
    parser.add_argument("--source", type=Path, default=environment.TREE, help="gentrace's tree")
    parser.add_argument("--reinstall", action="store_true", help="installs gentrace anew")
    parser.add_argument("--folder", type=Path, help="where everything is written, and stays")
    parser.add_argument("--keep", action="store_true", help="leaves logs and spool behind")
    options = parser.parse_args()
    options.scenarios = [name for name in options.scenarios.split(",") if name]
    if unknown := sorted(set(options.scenarios) - set(KNOWN)):
        parser.error(f"no such scenario: {', '.join(unknown)}")
    return options


def _digest(checkout: Path) -> str:
    """Revisions with the same requirements share an environment."""
    content = (checkout / environment.REQUIREMENTS).read_bytes()
    return f"{len(content)}-{sum(content) % 10_000}"


def _warm_up(day: Day) -> None:
    """The first request takes the API seconds; it is no row of the table."""
    case = day.ask("first of all")
    day.host.wait_final([case.generation_id])
    day.cases.clear()


def _run(day: Day, names: list[str], load: int) -> list[str]:
    failed: list[str] = []

    def attempt(name: str) -> None:
        print(f"{time.strftime('%X')} {name}", file=sys.stderr, flush=True)
        try:
            (TOGETHER | BY_ITSELF)[name](day)
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
            print(failed[-1], file=sys.stderr)
            day.rest()

    for name in [name for name in TOGETHER if name in names]:
        attempt(name)
    waited = [case.generation_id for case in day.cases]
    try:
        day.host.wait_final(waited, 150)
    except TimeoutError as error:
        failed.append(str(error))
    for name in [name for name in BY_ITSELF if name in names]:
        attempt(name)
    if load:
        cases = day.ask_many("load", load, 10)
        day.host.wait_final([case.generation_id for case in cases], 60 + 5 * load)
    return failed


def _private(day: Day) -> str:
    """What the planted secrets, and those of users and accounts, are found in."""
    accounts = [f"account{number}@provider.test" for number in range(1, ACCOUNTS + 1)]
    theirs = [*SECRETS, USER["email"], USER["password"], *accounts, "signature1"]
    found = private_in(day.host.spool, day.host.redis.url, theirs)
    files = len(list(day.host.spool.glob("*")))
    return f"private: {'; '.join(found) or f'none in {files} files, none in Redis'}"


def _report(
    label: str, day: Day, statuses: dict[str, list[checks.Seen]], failed: list[str]
) -> tuple[str, bool]:
    spans = checks.reading.spooled(day.host.spool)
    jobs = checks.rendered(day.host.jobs)
    evidence = checks.Evidence(spans, statuses, jobs, POLL_S if day.modern else OLD_POLL_S)
    rows: list[tuple[Case, checks.Verdict]] = []
    for case in day.cases:
        verdicts = checks.judge(evidence, case)
        for verdict in verdicts:
            verdict.problems = table.problems_of(case, verdict, verdict is verdicts[-1])
            rows.append((case, verdict))
    load = [row for row in rows if row[0].scenario == "load"]
    rest = [row for row in rows if row[0].scenario != "load" or row[1].problems]
    headers = day.host.requests.read_text(encoding="utf-8")
    traced = sum(
        any(f'"{name}"' in line for name in TRACE_HEADERS) for line in headers.splitlines()
    )
    parts = [table.table(label, rest), "", table.details(rest), ""]
    parts += [f"- {remark}" for remark in day.remarks]
    parts += [f"- scenario failed: {each}" for each in failed]
    if load:
        fine = sum(not verdict.problems for _, verdict in load)
        parts.append(f"- load: {fine} of {len(load)} without a problem")
    parts.append(
        f"- {len(spans)} spans; trace headers at the provider: {traced - day.hosts_headers}"
    )
    said = [line for program in day.host.programs for line in program.said()]
    parts += [f"- said: {line}" for line in said if "tracing as" not in line]
    return "\n".join(parts), not failed and not any(v.problems for _, v in rows)


if __name__ == "__main__":
    sys.exit(main())
