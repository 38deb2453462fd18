"""What each hook, a span, the carrier, the run store and the spool cost: `python -m bench.micro`.

    python -m bench.micro [--quick] [--rounds 10] [--count 300]

With and without gentrace in turn, each time in a fresh process, with a Redis for the run store.
Prints Markdown: medians of the rounds, in brackets the least and the greatest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import hosts
from bench.measuring import Sample, table
from tools import servers

Found = dict[str, list[tuple[float, float]]]
"""By name, of each round: ns on the calling thread, and of the process or on our threads."""


def main() -> None:
    """Prints the two tables."""
    parser = argparse.ArgumentParser(prog="bench.micro", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two rounds of half as many")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--count", type=int, default=300, help="calls of each in a round")
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.quick else 10)
    count = options.count // 2 if options.quick else options.count
    seen: dict[str, Found] = {"bare": {}, "hooked": {}, "parts": {}}
    more: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="gentrace-bench-") as text, servers.redis() as redis:
        folder = Path(text)
        with hosts.receiver(folder) as (receiver, _):
            env = {
                **hosts.environment(),
                "PYTHONPATH": str(hosts.ROOT),
                "GENTRACE_SPOOL": str(folder / "spool"),
                "GENTRACE_REDIS_URL": redis.url,
            }
            otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver}
            for _ in range(rounds):
                for what, into, own in (
                    ("bare", "bare", env),
                    ("hooked", "hooked", env),
                    ("parts", "parts", env),
                    ("parts", "parts", {**env, **otlp}),
                ):
                    for name, (mine, other, *rest) in _child(what, count, own).items():
                        seen[into].setdefault(name, []).append((mine, other))
                        more[name] = "".join(rest)
    print(_calls(seen["bare"], seen["hooked"]))
    print(f"\n{_parts(seen['parts'], more)}")


def _child(what: str, count: int, env: Mapping[str, str]) -> dict[str, Any]:
    program = [sys.executable, "-m", "bench.micro.child", what, "--count", str(count)]
    done = subprocess.run(program, env=dict(env), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bench.micro.child {what} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _calls(bare: Found, hooked: Found) -> str:
    rows: list[list[str]] = []
    for name, alone in bare.items():
        plain = Sample(tuple(mine for mine, _ in alone))
        pairs = list(zip(alone, hooked[name], strict=True))
        mine = Sample(tuple(with_us[0] - own[0] for own, with_us in pairs))
        whole = Sample(tuple(with_us[1] - own[1] for own, with_us in pairs))
        shown = f"{plain.median / 1e3:.2f}"
        rows.append([name, shown, mine.shown(1e-3, 1), f"{whole.median / 1e3:.0f}"])
    head = ["call", "bare, µs", "µs more, calling thread", "µs more, with our threads"]
    return table(head, rows)


def _parts(parts: Found, more: Mapping[str, str]) -> str:
    rows: list[list[str]] = []
    for name, values in parts.items():
        mine = Sample(tuple(value for value, _ in values))
        ours = Sample(tuple(value for _, value in values))
        shown = [each.shown(1e-3, 1) if each.median else "" for each in (mine, ours)]
        rows.append([name, *shown, more[name]])
    return table(["part", "µs, calling thread", "µs, our thread", ""], rows)


if __name__ == "__main__":
    main()
