"""The signing keys of an installation: made once, followed by every process, rotated and replaced."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.core.errors import InvalidToken
from leasehold.core.ids import new_id
from leasehold.core.signing import NoSigningKey, SigningKey
from leasehold.core.vault import InstallationKey
from leasehold.main import ensure_signing_key
from leasehold.platform.keys.jobs import forget_gone
from leasehold.platform.keys.schemas import Rotation
from leasehold.platform.keys.schemas import SigningKey as Described
from leasehold.platform.keys.service import KeyService
from leasehold.process import Process
from leasehold.tenancy.feed import HEARTBEAT_S
from leasehold.tenancy.jobs.definition import NoArguments
from leasehold.tenancy.signing import WrongInstallationKey
from tests.factories import parts_of, until
from tests.integration.keys.conftest import Start
from tests.locks import WAITING

_ADD = "INSERT INTO platform.signing_keys (id, kid, wrapped, activates_at) VALUES ($1, $2, $3, $4)"


@pytest.fixture
async def process(start: Start) -> AsyncGenerator[Process]:
    async with start() as made:
        yield made


def issued(process: Process) -> str:
    return process.tokens.issue(kind="client", subject=new_id(), tenant_id=new_id(), scopes=frozenset())


def is_accepted(process: Process, token: str) -> bool:
    try:
        process.tokens.verify(token)
    except InvalidToken:
        return False
    return True


async def rotated(process: Process, *, overlap_s: int = 900) -> Rotation:
    async with platform_session(process.database) as session:
        return await KeyService(session, process.key).rotate(overlap_s=overlap_s)


async def replaced(process: Process) -> Rotation:
    async with platform_session(process.database) as session:
        return await KeyService(session, process.key).replace()


async def listed(process: Process) -> list[Described]:
    async with platform_session(process.database) as session:
        return await KeyService(session, process.key).all()


async def moved_by(owner: Any, seconds: int) -> None:
    """Let all keys have come so much earlier."""
    await owner.execute(f"UPDATE platform.signing_keys SET activates_at = activates_at - interval '{seconds} seconds'")


async def test_many_processes_that_start_at_once_make_one_key(start: Start, owner: Any) -> None:
    async with AsyncExitStack() as stack:
        processes = await asyncio.gather(*(stack.enter_async_context(start(pool_size=2)) for _ in range(8)))
        assert await owner.fetchval("SELECT count(*) FROM platform.signing_keys") == 1
        token = issued(processes[0])
        assert all(is_accepted(process, token) for process in processes)


async def test_a_second_start_keeps_the_key(start: Start) -> None:
    async with start() as process:
        token = issued(process)
    async with start() as process:
        assert is_accepted(process, token)


async def test_the_private_key_is_stored_wrapped(process: Process, owner: Any) -> None:
    row = await owner.fetchrow("SELECT id, kid, wrapped FROM platform.signing_keys")
    seed = process.key.unwrap(row["wrapped"], purpose=f"signing key {row['id']}")
    assert SigningKey.from_seed(seed, signs_from=0).kid == row["kid"]
    assert seed not in row["wrapped"]


async def test_the_next_key_is_published_at_once_and_signs_later(start: Start, process: Process, owner: Any) -> None:
    (first,) = await listed(process)
    async with start() as other:
        rotation = await rotated(process, overlap_s=900)
        assert rotation.is_new
        await until(lambda: len(other.tokens.ring.kids) == 2)
        assert [key.state for key in await listed(process)] == ["signing", "published"]
        assert process.tokens.ring.signing(time.time()).kid == first.kid
        before = issued(process)
        await moved_by(owner, 901)
        await until(lambda: other.tokens.ring.signing(time.time()).kid == rotation.key.kid)
        assert [key.state for key in await listed(process)] == ["retired", "signing"]
        assert is_accepted(other, before)


async def test_a_key_is_gone_when_the_tokens_it_signed_have_expired(process: Process, owner: Any) -> None:
    old = issued(process)
    rotation = await rotated(process, overlap_s=900)
    await moved_by(owner, 900 + 961)
    await until(lambda: [key.kid for key in process.tokens.ring.published(time.time())] == [rotation.key.kid])
    assert not is_accepted(process, old)
    assert [key.state for key in await listed(process)] == ["gone", "signing"]
    async with platform_session(process.database) as session:
        await forget_gone.function(NoArguments(), session)
    assert [key.kid for key in await listed(process)] == [rotation.key.kid]


async def test_the_job_forgets_no_key_that_still_verifies(process: Process, owner: Any) -> None:
    await rotated(process, overlap_s=900)
    await moved_by(owner, 900 + 950)
    async with platform_session(process.database) as session:
        await forget_gone.function(NoArguments(), session)
    assert [key.state for key in await listed(process)] == ["retired", "signing"]


async def test_while_one_waits_for_its_time_there_is_no_other(process: Process, owner: Any) -> None:
    rotations = await asyncio.gather(*(rotated(process) for _ in range(4)))
    assert [rotation.is_new for rotation in rotations].count(True) == 1
    assert len({rotation.key.kid for rotation in rotations}) == 1
    assert len(await listed(process)) == 2
    await moved_by(owner, 901)
    assert (await rotated(process)).is_new
    assert [key.state for key in await listed(process)] == ["retired", "signing", "published"]


async def test_a_replaced_key_is_refused_by_every_process(start: Start, process: Process) -> None:
    async with start() as listening, start(direct_url=None) as polling:
        assert polling.settings.directory_poll_s <= 1
        await rotated(process)
        others = [process, listening, polling]
        await until(lambda: all(len(other.tokens.ring.kids) == 2 for other in others))
        token = issued(process)
        assert all(is_accepted(other, token) for other in others)  # and is remembered
        rotation = await replaced(process)
        await until(lambda: not any(is_accepted(other, token) for other in others))
        assert all(other.tokens.ring.kids == {rotation.key.kid} for other in others)
        assert all(is_accepted(other, issued(process)) for other in others)


async def test_a_key_that_somebody_deletes_by_hand_is_refused_at_the_next_look(process: Process, owner: Any) -> None:
    assert HEARTBEAT_S <= 1
    token = issued(process)
    assert is_accepted(process, token)
    await owner.execute("DELETE FROM platform.signing_keys")  # nobody is told
    await until(lambda: not is_accepted(process, token))
    with pytest.raises(NoSigningKey):
        issued(process)


async def test_a_key_that_was_added_without_the_installation_key_is_nobodys(
    process: Process, own: Settings, owner: Any
) -> None:
    """Who can write the table, by an injection say, still cannot sign."""
    token, seed, key_id = issued(process), b"a" * 32, new_id()
    forger = SigningKey.from_seed(seed, signs_from=0)
    (ours,) = await owner.fetch("SELECT wrapped FROM platform.signing_keys")
    soon = datetime.now(UTC) - timedelta(seconds=1)
    for wrapped in (seed, InstallationKey(InstallationKey.generate()).wrap(seed, purpose=f"signing key {key_id}")):
        await owner.execute("DELETE FROM platform.signing_keys WHERE id = $1", key_id)
        await owner.execute(_ADD, key_id, forger.kid, wrapped, soon)
        await process.feed.caught_up()
        assert process.tokens.ring.verifying(forger.kid, time.time()) is None
        assert is_accepted(process, token)
        assert process.tokens.ring.signing(time.time()).kid != forger.kid
    copied = new_id()
    await owner.execute(_ADD, copied, "copied", ours["wrapped"], soon)
    await process.feed.caught_up()
    assert len(process.tokens.ring.kids) == 1


async def test_a_process_with_another_installation_key_does_not_start(process: Process, start: Start) -> None:
    with pytest.raises(WrongInstallationKey, match="is not this installation's"):
        async with start(installation_key=SecretStr(InstallationKey.generate())):
            pass


async def test_a_process_goes_on_with_keys_that_it_cannot_read_any_more(process: Process, owner: Any) -> None:
    token = issued(process)
    (row,) = await owner.fetch("SELECT id, wrapped FROM platform.signing_keys")
    seed = process.key.unwrap(row["wrapped"], purpose=f"signing key {row['id']}")
    other = InstallationKey(InstallationKey.generate())
    await owner.execute(
        "UPDATE platform.signing_keys SET wrapped = $1", other.wrap(seed, purpose=f"signing key {row['id']}")
    )
    await process.feed.caught_up()
    assert is_accepted(process, token)
    assert is_accepted(process, issued(process))


async def test_the_first_key_is_not_made_twice_by_who_waited(own: Settings, owner: Any) -> None:
    async with parts_of(own) as process:
        transaction = owner.transaction()
        await transaction.start()
        await owner.execute("SELECT pg_advisory_xact_lock(hashtext('leasehold signing keys'))")
        waiting = [asyncio.create_task(ensure_signing_key(process)) for _ in range(3)]
        async with asyncio.timeout(30):
            while await owner.fetchval(WAITING) < len(waiting):
                await asyncio.sleep(0.01)
        await transaction.commit()
        await asyncio.gather(*waiting)
        assert await owner.fetchval("SELECT count(*) FROM platform.signing_keys") == 1
