"""The same question as bench.findings, asked as an outsider would: other runs, the JSON answer.

    python -m bench.findings_outside [--seeds 100 200] [--only TEXT] [--show]

The runs are those of tests/support/outside.py. `found` as in bench.findings; `--show` names the
first findings where they were others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.measuring import machine, table
from gentrace.analysis.compare import table as columns
from gentrace.analysis.compare.failing import failing
from gentrace.analysis.compare.slow import slow
from gentrace.report import group_json
from tests.support.outside import rows
from tests.support.outside_causes import FAILING, SLOW, right


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="bench.findings_outside", description=__doc__)
    parser.add_argument("--seeds", nargs=2, type=int, default=[100, 200], metavar=("FROM", "TO"))
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    print(machine(), flush=True)
    lines: list[Sequence[str]] = []
    for question, cases in ((slow, SLOW), (failing, FAILING)):
        for name, case in cases.items():
            if options.only not in name:
                continue
            missed: list[int] = []
            counts: list[int] = []
            for seed in range(*options.seeds):
                made, truth = case(seed)
                answer = group_json.as_object(question(columns.table(rows(made))))
                counts.append(len(answer["findings"]))
                if not right(answer, truth):
                    missed.append(seed)
                    if options.show:
                        told = [(f["kind"], f["name"], f["value"], f["time"], f["unit"],
                                 round(f["effect"] or 0, 2), f"{f['p_adjusted']:.1g}")
                                for f in answer["findings"][:4]]  # fmt: skip
                        print(name, seed, made.hours, list(truth), *told, sep="\n      ")
            of = options.seeds[1] - options.seeds[0]
            lines.append((question.__name__, name, str(of - len(missed)), str(of),
                          f"{sum(counts) / of:.2f}", " ".join(map(str, missed[:10]))))  # fmt: skip
    print(table(("question", "planted", "found", "of", "findings, mean", "missed seeds"), lines))


if __name__ == "__main__":
    main()
