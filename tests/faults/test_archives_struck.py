"""Exports, imports and copies by command that are killed at points that are drawn: at a round trip, or at a moment.

LEASEHOLD_TEST_SEED draws others; with LEASEHOLD_TEST_LONG there are many more.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from leasehold.config import Settings
from leasehold.tenancy.archive.reading import ArchiveFile
from tests.archives import PASSPHRASE, exported
from tests.factories import parts_of
from tests.faults.agreement import eventually
from tests.faults.test_operations_killed import SEED, Operation, Stage, own, prepared, staged, strike, told

__all__ = ["own"]

TIMES = 40 if os.environ.get("LEASEHOLD_TEST_LONG") else 1
"""How many round trips and how many moments of each operation are drawn, besides the COMMIT that ends it."""
_WAYS = ("killed before", "killed behind", "ended before", "ended behind")
_KILLED, _DONE, _REFUSED = -signal.SIGKILL, 0, 2
_ROWS = """
INSERT INTO "{schema}".items (id, title, description, created_at, updated_at)
SELECT gen_random_uuid(), 'x', repeat(md5(n::text), 60), now(), now() FROM generate_series(1, {rows}) n
"""
_EVENTS = "SELECT count(*) FROM platform.audit_events WHERE action = 'tenant.exported'"
_PLACE = "SELECT schema_name FROM platform.tenants WHERE slug = $1"


async def killed_after(stage: Stage, seconds: float, command: str, slugs: dict[str, str]) -> int:
    """Do an operation, kill it at a moment, and return how it ended."""
    assert stage.process.stdin is not None
    words = [slugs.get(word, word) for word in command.split()]
    stage.process.stdin.write(json.dumps(words).encode() + b"\n")
    child = await stage._number()
    await asyncio.sleep(seconds)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    status = await stage._number()
    await eventually(stage._is_alone)
    return status


async def archive_of(settings: Settings, slug: str, file: Path) -> None:
    async with parts_of(settings) as process:
        await exported(process, slug, file)


async def test_an_import_and_a_copy_are_done_or_not_and_the_same_again_finishes_them(
    own: Settings, admin_url: str, tmp_path: Path
) -> None:
    file, outcomes = tmp_path / "archive", Counter[str]()
    taken = "Another tenant has this slug"
    operations = {
        "import": Operation(f"tenants import {file} --slug N --new-id", (), taken, tells=True),
        "clone": Operation("tenants clone T --slug N", (), taken, tells=True),
    }
    tenants = 1 + len(operations) * (1 + len(_WAYS) + 2 * TIMES)
    async with staged(own, admin_url, tmp_path, tenants=tenants, LEASEHOLD_ARCHIVE_PASSPHRASE=PASSPHRASE) as stage:
        source = stage.tenants.pop()
        await stage.admin.execute(_ROWS.format(schema=await stage.admin.fetchval(_PLACE, source), rows=300))
        await archive_of(own, source, file)
        for name, operation in operations.items():
            slugs = await prepared(stage, operation)
            before, began = await stage.state(slugs), time.monotonic()
            whole = await stage.do(operation.does, slugs)
            took = time.monotonic() - began
            assert whole.status == _DONE, whole.said
            expected = told(operation, before, await stage.state(slugs), slugs)
            trips, commit = stage.traffic.round_trips, stage.traffic.commits[-1]
            points = [(commit, way) for way in _WAYS]
            points += [(stage.dice.randrange(2, trips), stage.dice.choice(_WAYS)) for _ in range(TIMES)]
            for at, how in points:
                case = f"seed {SEED}: {name} {how} round trip {at} of {trips}"
                outcomes[f"{name} {how}: {await strike(stage, operation, expected, (at, how), case)}"] += 1
            for seconds in [stage.dice.uniform(0, took) for _ in range(TIMES)]:
                slugs = await prepared(stage, operation)
                before, case = await stage.state(slugs), f"seed {SEED}: {name} killed after {seconds} s"
                assert await killed_after(stage, seconds, operation.does, slugs) in {_KILLED, _DONE}, case
                left = told(operation, before, await stage.state(slugs), slugs)
                assert left in ({}, expected), case
                assert (await stage.do(operation.does, slugs)).status == (_REFUSED if left else _DONE), case
                assert told(operation, before, await stage.state(slugs), slugs) == expected, case
                outcomes[f"{name} killed at a moment: {'new' if left else 'old'}"] += 1
    sys.stdout.write(f"seed {SEED}: {dict(sorted(outcomes.items()))}\n")
    for name in operations:
        assert outcomes[f"{name} killed before: old"]
        assert outcomes[f"{name} killed behind: new"]


async def test_an_export_is_a_whole_file_or_none_and_the_same_again_makes_it(
    own: Settings, admin_url: str, tmp_path: Path
) -> None:
    folder, outcomes = tmp_path / "archives", Counter[str]()
    folder.mkdir()
    file, command = folder / "a.archive", f"tenants export T -o {folder / 'a.archive'}"
    async with staged(own, admin_url, tmp_path, tenants=1, LEASEHOLD_ARCHIVE_PASSPHRASE=PASSPHRASE) as stage:
        slugs = {"T": stage.tenants.pop(), "N": "none"}
        await stage.admin.execute(_ROWS.format(schema=await stage.admin.fetchval(_PLACE, slugs["T"]), rows=3000))
        began = time.monotonic()
        assert (await stage.do(command, slugs)).status == _DONE
        took, trips, expected = time.monotonic() - began, stage.traffic.round_trips, sums(file)
        file.unlink()
        draws = [(stage.dice.randrange(2, trips + 1), 0.0) for _ in range(2 * TIMES)]
        draws += [(0, stage.dice.uniform(0, took)) for _ in range(2 * TIMES)]
        for trip, seconds in draws:
            case, events = f"seed {SEED}: round trip {trip} or {seconds} s", await stage.admin.fetchval(_EVENTS)
            if trip:
                ended = await stage.do(command, slugs, (trip, stage.dice.choice(_WAYS[:2])))
                assert ended.status == _KILLED, case
            else:
                assert await killed_after(stage, seconds, command, slugs) in {_KILLED, _DONE}, case
            left = {path.name for path in folder.iterdir()}
            assert left <= {"a.archive", "a.archive.partial"}, case
            is_whole = "a.archive" in left
            told_of = await stage.admin.fetchval(_EVENTS) - events
            assert told_of == 1 if is_whole else told_of in {0, 1}, case
            again = await stage.do(command, slugs)
            assert again.status == (_REFUSED if is_whole else _DONE), f"{case}: {again.said}"
            assert sums(file) == expected, case
            file.unlink()
            outcomes["whole" if is_whole else "partial" if left else "none"] += 1
    sys.stdout.write(f"seed {SEED}: {dict(sorted(outcomes.items()))}\n")
    assert outcomes["none"] + outcomes["partial"] > 0


def sums(file: Path) -> dict[str, str]:
    """Return the checksums of an archive, after seeing that it is whole, but of what differs each time."""
    with ArchiveFile(file) as archive:
        archive.key(PASSPHRASE)
        archive.verify()
        differ = {"audit_events", "tenant_secrets"}
        return {table.name: table.sha256 for table in archive.manifest.tables if table.name not in differ}
