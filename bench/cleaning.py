"""What cleaning costs beside another state of the code: of a span on our own thread, and of what is
told of a run to Redis in the host's time.

    python -m bench.cleaning [--before CHECKOUT] [--rounds 15] [--runs 40]

A run's spans, as the small host's have them, with ids of their own and a prompt that is known. The
two states are measured in turn, each round in a fresh interpreter, and compared round by round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from bench.measuring import Sample, machine, ratios, table

HERE = Path(__file__).resolve().parents[1]
PROMPT = (
    "A lighthouse in the rain at dusk, seen from a small boat; waves, gulls, warm light in the "
    "windows. Cinematic, 35 mm, shallow depth of field, in the style of an old travel poster."
)
HTTP = {
    "http.method": "POST",
    "http.url": "https://app-api.pixverse.ai/creative_platform/video/t2v",
    "http.status_code": 200,
}
SQL = {
    "db.system": "postgresql",
    "db.name": "pixsim7",
    "db.statement": "SELECT generations.id, generations.status FROM generations WHERE id = %s",
    "net.peer.name": "127.0.0.1",
    "net.peer.port": 5432,
}


def spans_of(number: int) -> tuple[list[Any], dict[str, Any]]:
    """The spans of one run (SERVER, ours, SQL, HTTP, the run's own), and its facts."""
    from opentelemetry.sdk.trace import TracerProvider

    from gentrace.core import names
    from gentrace.runtime import context

    ids = {names.GENERATION_ID: str(number)}
    context.remember(context.Run(str(number), prompts=(PROMPT,)))
    job = uuid.uuid4().hex
    asked = {
        names.OPERATION: "text_to_video",
        names.PROVIDER: "pixverse",
        names.MODEL: "v5.6-turbo",
        names.USER_ID: "12",
    }
    job_facts = {
        names.MESSAGING_SYSTEM: "arq",
        names.MESSAGING_MESSAGE_ID: job,
        names.MESSAGING_DESTINATION: "arq:queue",
        names.JOB_OUTCOME: "succeeded",
        names.CODE_FUNCTION: "pixsim7.backend.main.workers.job_processor.process_generation",
    }
    submitted = {
        **asked,
        names.PROVIDER_JOB_ID: str(10**15 + number),
        names.SUBMISSION_ID: str(number + 7),
        names.ACCOUNT_ID: "3",
        names.ATTEMPT: 1,
    }
    of_run = {
        **submitted,
        names.OUTCOME: "completed",
        names.GENERATION_HASH: uuid.uuid4().hex * 2,
        names.STAGE: "finished",
        names.PROCESSES: [str(uuid.uuid4()), str(uuid.uuid4())],
        **dict.fromkeys(names.TIMES.values(), 0.5),
    }
    route = "/api/v1/generations"
    server = {"http.method": "POST", "http.route": route, "http.target": route}
    made: list[tuple[str, dict[str, Any]]] = [
        (f"POST {route}", server),
        (names.CREATE_GENERATION, asked),
        (names.HASH, {names.GENERATION_HASH: of_run[names.GENERATION_HASH]}),
        (names.DEDUP, {names.DEDUP_RESULT: "miss"}),
        ("enqueue process_generation", job_facts),
        (names.PROCESS_GENERATION, job_facts),
        (names.ACCOUNT_SELECT, {names.ACCOUNT_ID: "3", names.PROVIDER: "pixverse"}),
        (names.PROVIDER_EXECUTE, submitted),
        ("POST", HTTP),
        (names.FINISH, {names.STATUS: "completed", names.STATUS_PREVIOUS: "processing"}),
        (names.RUN, of_run),
        *[("SELECT pixsim7", SQL)] * 12,
    ]
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("gentrace")
    spans: list[Any] = []
    for name, attributes in made:
        span = tracer.start_span(name, attributes={**attributes, **ids})
        if name == names.PROVIDER_EXECUTE:
            fields = {"provider_id": "pixverse", "submission_id": str(number + 7)}
            span.add_event("provider_execute_started", fields)
        span.end()
        spans.append(span)
    facts = {name: value for name, value in of_run.items() if isinstance(value, str | int)}
    return spans, facts


def measure(runs: int) -> tuple[float, float]:
    """Microseconds a span and a fact; what is done once a process is done before."""
    from opentelemetry.sdk.resources import Resource

    from gentrace.core.scrub import Scrubber
    from gentrace.runtime.export.scrubbing import clean

    scrubber = Scrubber(
        b"k" * 32, {"provider_execute_started": frozenset({"provider_id", "submission_id"})}
    )
    resource = Resource({"service.name": "pixsim7-worker"})
    shown = getattr(scrubber, "of_run", scrubber.attribute)
    clean(spans_of(0)[0], resource, scrubber)
    made = [spans_of(number) for number in range(1, runs + 1)]
    begun = time.thread_time_ns()
    for _, facts in made:
        prompts = (PROMPT,)
        for name, value in facts.items():
            shown(name, value, prompts)
    told = time.thread_time_ns() - begun
    begun = time.thread_time_ns()
    for batch, _ in made:
        clean(batch, resource, scrubber)
    cleaned = time.thread_time_ns() - begun
    per_span = cleaned / 1e3 / sum(len(batch) for batch, _ in made)
    return per_span, told / 1e3 / sum(len(facts) for _, facts in made)


def one_round(checkout: Path, runs: int) -> tuple[float, float]:
    """One measurement of the code that stands there."""
    program = [sys.executable, str(Path(__file__).resolve()), "--child", "--runs", str(runs)]
    path = os.pathsep.join([str(checkout), str(HERE)])
    done = subprocess.run(
        program, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, check=True
    )
    per_span, per_fact = json.loads(done.stdout)
    return float(per_span), float(per_fact)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.cleaning")
    parser.add_argument("--before", type=Path, help="another checkout, to compare with")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.runs)))
        return
    print(f"{machine()}\n")
    places = {"this": HERE, **({"before": options.before} if options.before else {})}
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in places}
    for _ in range(options.rounds):
        for name, checkout in places.items():
            seen[name].append(one_round(checkout, options.runs))
    base = seen.get("before", seen["this"])
    rows: list[list[str]] = []
    for name, values in seen.items():
        rows.append([name])
        for part in (0, 1):
            mine, theirs = [each[part] for each in values], [each[part] for each in base]
            rows[-1] += [Sample(tuple(mine)).shown(), f"{ratios(mine, theirs).median:.2f}"]
    print(table(["cleaning", "µs a span", "÷ before", "µs a fact", "÷ before"], rows))


if __name__ == "__main__":
    main()
