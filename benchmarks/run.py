"""Run every `benchmarks/bench_*.py`, or those named, and print one table: `python -m benchmarks.run [NAME ...]`.

Each of them has `main() -> list[Row]`. A missed target is printed, not punished: a loaded machine is no fault of the
code, so the exit status is 1 only if a benchmark could not run.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from benchmarks.row import Row

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The benchmarks that there are, without `bench_`."""
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def _line(row: Row) -> str:
    target = "" if row.target is None else f"{'<=' if row.better == 'lower' else '>='} {row.target:,.4g}"
    verdict = {None: "", True: "ok", False: "MISSED"}[row.met]
    return f"  {row.name:<64} {row.value:>14,.4g} {row.unit:<14} {target:>14}  {verdict}".rstrip()


def main(wanted: list[str]) -> int:
    """Run the benchmarks named, or all; returns the exit status."""
    known = names()
    if unknown := sorted(set(wanted) - set(known)):
        print(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in wanted or known:
        print(f"{name}:", flush=True)
        try:
            rows = importlib.import_module(f"benchmarks.bench_{name}").main()
        except Exception:  # noqa: BLE001  one broken benchmark must not hide the others
            traceback.print_exc()
            failed.append(name)
            continue
        for row in rows:
            print(_line(Row(*row)), flush=True)
    if failed:
        print(f"could not run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
