"""`python -m faults`: does harm to an installation under load, and measures what is promised of it."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.progress import say
from faults.installation import make_installation
from faults.kinds import ALL
from faults.report import Skipped, as_json, conditions, table, write
from faults.trial import Outcome, try_fault

TENANTS = 4
_TRIAL_S = 300
"""Longer than any trial takes; then it is broken off, and so is the command."""


def main() -> int:
    """Run the faults that are asked for; the status is 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FAULT", help="all if none is named")
    parser.add_argument("--list", action="store_true", help="name all faults, with what is promised")
    parser.add_argument("--short", action="store_true", help="harm for a few seconds each, as in the tests")
    parser.add_argument("--output", type=Path, help="a folder for faults.md and faults.json")
    parser.add_argument("--keep", type=Path, help="a folder for the journals, and for what all processes print")
    asked = parser.parse_args()
    known = {fault.name: fault for fault in ALL}
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"there is no fault {', '.join(unknown)}; --list names all")
    if asked.list:
        print("\n".join(f"{fault.name:26} {fault.expected}" for fault in ALL))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    return asyncio.run(_run(asked.names or list(known), is_short=asked.short, output=asked.output, keep=asked.keep))


async def _run(names: list[str], *, is_short: bool, output: Path | None, keep: Path | None) -> int:
    known = {fault.name: fault for fault in ALL}
    outcomes: list[Outcome] = []
    skipped: list[Skipped] = []
    under = conditions(is_short=is_short, tenants=TENANTS)
    with tempfile.TemporaryDirectory(prefix="leasehold-faults-") as folder:
        installation = await make_installation(Path(folder), tenants=TENANTS)
        for name in names:
            if reason := known[name].why_not():
                say(f"{name}: not done, {reason}")
                skipped.append((known[name], reason))
                continue
            began = time.monotonic()
            async with asyncio.timeout(_TRIAL_S):
                outcome = await try_fault(known[name], installation, is_short=is_short, keep=keep)
            say(
                f"{name}: {outcome.broken or 'as promised'} ({time.monotonic() - began:.0f} s) {'; '.join(outcome.found)}"
            )
            if outcome.broken:
                say("\n".join([*outcome.notes, outcome.words]))
            outcomes.append(outcome)
    text = f"{under}\n\n{table(outcomes, skipped)}"
    print(text)
    if output is not None:
        write(output, text, as_json(outcomes, skipped, conditions=under))
    return int(any(one.broken for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
