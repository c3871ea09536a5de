"""`python -m faults`: does harm to an installation under load, and measures what is promised of it."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.progress import say
from faults.fault import Fault
from faults.installation import make_installation
from faults.kinds import ALL
from faults.page import PAGE, page
from faults.report import Skipped, as_json, conditions, table, write
from faults.trial import Outcome, try_fault

TENANTS = 4
_TRIAL_S = 400
"""Longer than any trial takes; then it is broken off."""


def main() -> int:
    """Do the faults that are asked for; the status is 1 if a promise was broken or a trial was."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FAULT", help="all if none is named")
    parser.add_argument("--list", action="store_true", help="name all faults, with what is promised")
    parser.add_argument("--short", action="store_true", help="harm for a few seconds each, as in the tests")
    parser.add_argument("--output", type=Path, help="a folder for faults.md and faults.json")
    parser.add_argument("--keep", type=Path, help="a folder for the journals, and for what all processes print")
    parser.add_argument("--document", action="store_true", help=f"write {PAGE.name}, which needs all faults")
    asked = parser.parse_args()
    known = {fault.name: fault for fault in ALL}
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"there is no fault {', '.join(unknown)}; --list names all")
    if asked.document and asked.names:
        parser.error("--document needs all faults")
    if asked.list:
        print("\n".join(f"{fault.name:26} {fault.expected}" for fault in ALL))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that was started is ended
    faults = [known[name] for name in asked.names] or list(ALL)
    outcomes, skipped, under = asyncio.run(_try_all(faults, is_short=asked.short, keep=asked.keep))
    figures = f"{under}\n\n{table(outcomes, skipped)}"
    print(figures)
    if asked.output is not None:
        write(asked.output, figures, as_json(outcomes, skipped, conditions=under))
    if asked.document:
        PAGE.write_text(page(ALL, figures))
    is_complete = len(outcomes) + len(skipped) == len(faults)
    return int(not is_complete or any(one.broken for one in outcomes))


async def _try_all(
    faults: Sequence[Fault], *, is_short: bool, keep: Path | None
) -> tuple[list[Outcome], list[Skipped], str]:
    """Return what came of each fault, which could not be tried here and why, and under which conditions it was."""
    outcomes: list[Outcome] = []
    skipped: list[Skipped] = []
    with tempfile.TemporaryDirectory(prefix="leasehold-faults-") as folder:
        installation = await make_installation(Path(folder), tenants=TENANTS)
        for fault in faults:
            if reason := fault.why_not():
                say(f"{fault.name}: not done, {reason}")
                skipped.append((fault, reason))
                continue
            began = time.monotonic()
            try:
                async with asyncio.timeout(_TRIAL_S):
                    outcome = await try_fault(fault, installation, is_short=is_short, keep=keep)
            except Exception:  # noqa: BLE001  # one trial that cannot be carried out spoils no other
                say(f"{fault.name}: the trial failed\n{traceback.format_exc()}")
                continue
            outcomes.append(outcome)
            said = "; ".join([f"{time.monotonic() - began:.0f} s", *outcome.found])
            say(f"{fault.name}: {outcome.broken or 'as promised'} ({said})")
            if outcome.broken:
                say("\n".join([*outcome.notes, outcome.words]))
    return outcomes, skipped, conditions(is_short=is_short, tenants=TENANTS)


if __name__ == "__main__":
    sys.exit(main())
