"""What is tried: one function a scenario, in the order in which they run.

Those of `TOGETHER` only ask; what they asked for is waited for at once. The others want the host
for themselves.
"""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from redis import Redis

from tools.real_host.database import Seen
from tools.real_host.day import LATE_STATUS_S, Case, Day, Scenario
from tools.real_host.host import wait_until

CHAIN = "/api/v1/generation-chains/execute-ephemeral"
DIED_WITHIN_S = 65.0  # by then what a dead process left is written
FAN_OUT = "/api/v1/generation-chains/execute-fanout-ephemeral"


def success(day: Day) -> None:
    day.ask("success", outcome="completed", tries=1, requeues=0, attempts=1)


def refused(day: Day) -> None:
    day.ask("refused (`BADPROMPT`)", "BADPROMPT", outcome="failed", attempts=1, polls=0)


def filtered(day: Day) -> None:
    if not day.modern:
        day.remarks.append("filtered: not tried, this revision's poller waits two hours for it")
        return
    day.ask("filtered (`FILTER`), auto-retry off", "FILTER", outcome="failed", attempts=1)


def bad_gateway(day: Day) -> None:
    case = day.ask("HTTP 502 (`BOOM`)", "BOOM", outcome="failed", attempts=1)
    case.expected["error.http_status"] = (502,)


def cancelled_in_render(day: Day) -> None:
    outcome = "completed" if day.modern else "cancelled"
    case = day.ask("cancelled while processing", "SLOWRENDER", outcome=outcome, attempts=1)
    day.host.wait_status(case.generation_id, "processing")
    time.sleep(3)
    day.host.act(case.generation_id, "cancel")


def paused(day: Day) -> None:
    if not day.modern:
        day.remarks.append("paused: not tried, this revision has no such route")
        return
    with day.without_workers():
        case = day.ask("paused for 4 s, resumed", outcome="completed", attempts=1)
        case.at_most = {"hold": 5.0}
        day.host.act(case.generation_id, "pause")
        time.sleep(4)
        day.host.act(case.generation_id, "resume")
    day.host.wait_final([case.generation_id])


def retried(day: Day) -> None:
    case = day.ask("POST retry 4 s after `failed`", "BADPROMPT1", outcome="failed")
    day.host.wait_status(case.generation_id, "failed")
    time.sleep(LATE_STATUS_S)
    asked_s = time.time()
    again = str(day.host.act(case.generation_id, "retry")["id"])
    if again == case.generation_id:
        case.runs = 2
        day.expect(case, outcome="completed", attempts=1)
    else:
        made = Case("its retry, a new generation", again, case.prompt, asked_s)
        day.expect(made, outcome="completed", attempts=1)
        day.cases.append(made)


def fan_out(day: Day) -> None:
    prompts = [day.prompt(""), day.prompt("")]
    items = [
        {"id": f"item{n}", "params": {"generation_config": day.host.request.config(prompt)}}
        for n, prompt in enumerate(prompts)
    ]
    operation = {"provider_id": "pixverse", "default_operation": "text_to_video"}
    try:
        day.host.ask("POST", FAN_OUT, {**operation, "items": items})
    except RuntimeError as error:
        day.remarks.append(f"fan-out: not tried, {str(error)[:120]}")
        return
    _made_by_a_worker(day, "made by a worker (fan-out)", prompts)


def chain(day: Day) -> None:
    """One step: hosts that have chains never see that a step is over, without gentrace either."""
    prompt = day.prompt("")
    step = {
        "id": "step",
        "prompt": prompt,
        "operation": "text_to_video",
        "params_overrides": day.host.request.config(prompt),
    }
    try:
        day.host.ask("POST", CHAIN, {"provider_id": "pixverse", "steps": [step]})
    except RuntimeError as error:
        day.remarks.append(f"chain: not tried, {str(error)[:120]}")
        return
    _made_by_a_worker(day, "made by a worker (chain)", [prompt])


def _made_by_a_worker(day: Day, scenario: str, prompts: list[str]) -> None:
    for prompt in prompts:
        wait_until(lambda p=prompt: day.made_with(p) is not None, f"{scenario}: not made", 60)
        case = Case(scenario, str(day.made_with(prompt)), prompt, None, requested=False)
        day.expect(case, outcome="completed", tries=1, attempts=1)
        day.cases.append(case)


def concurrency(day: Day) -> None:
    _once(day, "concurrency limit once (`CONC1`)", "CONC1")


def dead_session(day: Day) -> None:
    _once(day, "dead session once (`SESSION1`)", "SESSION1")


def _once(day: Day, scenario: str, word: str) -> None:
    """Refused once; hosts of today take another account and try again."""
    if day.modern:
        case = day.ask(scenario, word, outcome="completed", tries=2, requeues=1, attempts=2)
    else:
        case = day.ask(scenario, word, outcome="failed", tries=1)
    day.host.wait_final([case.generation_id])
    day.rest()


def auto_retried(day: Day) -> None:
    """Filtered each time; the host puts it back until it has had enough."""
    if not day.modern:
        day.remarks.append(
            "filtered with auto-retry on: not tried, this revision has no such route"
        )
        return
    day.configure(auto_retry_enabled=True, auto_retry_max_attempts=2)
    text = "filtered (`FILTER`), auto-retry on, 2 at most"
    case = day.ask(text, "FILTER", outcome="failed", tries=3, attempts=3)
    wait_until(
        lambda: sum(s.new == "failed" for s in _seen(day, case)) == 3, "failed for good", 180
    )
    time.sleep(2)
    day.configure(auto_retry_enabled=False, auto_retry_max_attempts=10)


def cancelled_while_pending(day: Day) -> None:
    """Cancelled, and lost. Two workers that start at once would both find what was lost."""
    with day.without_workers(1):
        case = day.ask("cancelled while pending", outcome="cancelled", attempts=0)
        day.host.act(case.generation_id, "cancel")
        lost = day.ask("job deleted from Redis; the cron finds it")
        day.expect(lost, outcome="completed", tries=1, attempts=1)
        _lose(day, lost)
    day.host.wait_final([lost.generation_id], 150)
    day.host.start_workers(1)


def no_account(day: Day) -> None:
    """Every account is disabled once the request is in, and enabled 12 s later."""
    with day.without_workers():
        case = day.ask("no account for 12 s after the request", outcome="failed", attempts=0)
        if day.modern:
            day.expect(case, outcome="completed", attempts=1)
        day.host.database.set_accounts("disabled")
    time.sleep(12)
    day.rest()
    day.host.wait_final([case.generation_id], 150)


def _lose(day: Day, case: Case) -> None:
    """Deletes the job, the lease on it, and makes the row old enough for the requeue cron."""
    mark = f"generation_id={case.generation_id}"
    connected: Any = Redis.from_url(day.host.redis.url)
    with connected as client:
        jobs = [
            key.decode().removeprefix("arq:job:")
            for key in client.scan_iter("arq:job:*")
            if b"process_generation" in (client.get(key) or b"")
        ]
        newest = max(jobs, key=lambda job: client.zscore("arq:queue", job) or 0)
        client.delete(f"arq:job:{newest}")
        client.zrem("arq:queue", newest)
        client.delete(f"pixsim7:generation:enqueue_lease:{case.generation_id}")
    case.note = f"{newest} ({mark})"
    day.host.database.run(
        "UPDATE generations SET updated_at = updated_at - interval '10 minutes',"
        " created_at = created_at - interval '10 minutes' WHERE id = %s",
        int(case.generation_id),
    )


def killed_in_render(day: Day) -> None:
    """The only worker is killed while the provider renders, and one is started 6 s later."""
    with day.without_workers(1):
        pass
    time.sleep(5)  # an old poller fails what is submitted while its first round is on
    case = day.ask("worker killed during the render", "SLOWRENDER", outcome="completed")
    case.killed = True
    wait_until(lambda: case.prompt in _taken(day), "the stand-in has the job", 60)
    time.sleep(4)
    _kill(day)
    day.host.wait_final([case.generation_id], 120)


def killed_in_submission(day: Day) -> None:
    """The only worker is killed while the provider takes the job, and one is started 6 s later."""
    if len(day.host.workers) > 1:
        with day.without_workers(1):
            pass
    before = _submissions(day)
    case = day.ask("worker killed during the submission", "SLOWSUBMIT")
    case.killed = True
    wait_until(lambda: _submissions(day) > before, "the submission is on its way", 60)
    time.sleep(1)
    _kill(day)
    try:
        day.host.wait_final([case.generation_id], 90)
    except TimeoutError as error:
        case.runs = 0
        case.note = f"{error}, and was left so"
    day.wait_died(case)


def killed_under_load(day: Day) -> None:
    """One of two workers is killed three times, and started again, among many generations."""
    with day.without_workers(2):
        pass
    words = ["", "", "BADPROMPT", "", "BOOM", "", "SLOWRENDER", "", "SLOWSUBMIT", ""]
    with ThreadPoolExecutor(10) as threads:
        asked = [
            threads.submit(day.ask, "one of two workers killed, three times", word)
            for word in words * 4
        ]
        for after in (10, 20, 30):
            wait_until(lambda n=after: sum(each.done() for each in asked) >= n, "asked", 120)
            time.sleep(0.2)
            day.host.workers[0].send(signal.SIGKILL)
            time.sleep(1)
            day.host.start_workers(1)
    left: list[str] = []
    end = time.monotonic() + 120
    for case in [each.result() for each in asked]:
        case.asked_s, case.busy, case.killed = None, True, True
        try:
            day.host.wait_final([case.generation_id], max(3.0, end - time.monotonic()))
        except TimeoutError:
            case.runs = 0
            left.append(case.generation_id)
    day.remarks.append(
        f"killed under load: {len(asked)} asked, {len(left)} never ended by the host"
    )
    time.sleep(DIED_WITHIN_S)


def _kill(day: Day) -> None:
    (worker,) = day.host.workers
    worker.send(signal.SIGKILL)
    time.sleep(6)
    day.host.start_workers(1)


def idle(day: Day) -> None:
    day.silence(60)


def _seen(day: Day, case: Case) -> list[Seen]:
    return day.host.database.statuses().get(case.generation_id, [])


def _taken(day: Day) -> str:
    return day.host.jobs.read_text(encoding="utf-8") if day.host.jobs.exists() else ""


def _submissions(day: Day) -> int:
    return day.host.requests.read_text(encoding="utf-8").count("/video/t2v")


TOGETHER: dict[str, Scenario] = {
    "success": success,
    "refused": refused,
    "filtered": filtered,
    "bad_gateway": bad_gateway,
    "fan_out": fan_out,
    "chain": chain,
    "retried": retried,
    "cancelled_in_render": cancelled_in_render,
}
ALONE: dict[str, Scenario] = {
    "concurrency": concurrency,
    "dead_session": dead_session,
    "auto_retried": auto_retried,
    "paused": paused,
    "cancelled_while_pending": cancelled_while_pending,
    "no_account": no_account,
    "killed_in_render": killed_in_render,
    "killed_in_submission": killed_in_submission,
    "killed_under_load": killed_under_load,
    "idle": idle,
}
