"""An archive with the right seal that lies, by somebody who knows the passphrase: it is told, and nothing changed."""

import asyncio
import zipfile
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest

from leasehold.core.errors import Problem
from leasehold.process import Process
from leasehold.tenancy.archive.importing import Destination, Imported
from leasehold.tenancy.archive.manifest import MANIFEST, KeyDerivation, SealedManifest
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.refusals import ArchiveRefused
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.jobs.models import PLATFORM_LANE
from tests.archives import PASSPHRASE, purged
from tests.factories import OPERATOR, item, new_slug, provisioned

KEY = ArchiveKey(PASSPHRASE, KeyDerivation(salt="00" * 16, memory_kib=8, iterations=1, check=""))
_TRACES = """
SELECT (SELECT count(*) FROM platform.tenants), (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'),
       (SELECT count(*) FROM platform.audit_events), (SELECT count(*) FROM platform.tenant_domains),
       (SELECT count(*) FROM platform.former_slugs)
"""

Members = dict[str, bytes]
Change = Callable[[dict[str, Any], Members], None]


@pytest.fixture(scope="module")
async def true(process: Process) -> Members:
    """The members of an archive that tells the truth."""
    tenant, file = await provisioned(process), BytesIO()
    await item(process, tenant, "Desk")
    await process.exporter.export(tenant.id, file, KEY)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def table(manifest: dict[str, Any], name: str = "items") -> dict[str, Any]:
    return next(table for table in manifest["tables"] if table["name"] == name)


def rows(manifest: dict[str, Any], members: Members, change: Callable[[bytes], bytes], *, name: str = "items") -> None:
    """Change the rows of a table, and make the manifest agree with them."""
    data = change(members[f"tables/{name}.copy"])
    members[f"tables/{name}.copy"] = data
    table(manifest, name).update(bytes=len(data), sha256=sha256(data).hexdigest(), rows=data.count(b"\n"))


def column(name: str, value: bytes) -> Change:
    """Write something else into a column of the items."""

    def change(manifest: dict[str, Any], members: Members) -> None:
        place = table(manifest)["columns"].index(name)

        def one(row: bytes) -> bytes:
            fields = row.split(b"\t")
            return b"\t".join([*fields[:place], value, *fields[place + 1 :]])

        rows(manifest, members, lambda data: b"".join(one(row) + b"\n" for row in data.splitlines()))

    return change


def set_in(*path: str, to: Any) -> Change:
    def change(manifest: dict[str, Any], _members: Members) -> None:
        place = manifest
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = to

    return change


def set_in_table(**values: Any) -> Change:
    return lambda manifest, _members: table(manifest).update(values)


def renamed(name: str) -> Change:
    def change(manifest: dict[str, Any], members: Members) -> None:
        members[f"tables/{name}.copy"] = members["tables/items.copy"]
        table(manifest)["name"] = name

    return change


def extra_column(name: str) -> Change:
    return lambda manifest, _members: table(manifest)["columns"].append(name)


def table_of_ours(manifest: dict[str, Any], members: Members) -> None:
    renamed("alembic_version")(manifest, members)


def without_a_table(manifest: dict[str, Any], _members: Members) -> None:
    manifest["tables"].remove(table(manifest))


def doubled(manifest: dict[str, Any], members: Members) -> None:
    rows(manifest, members, lambda data: data + data)


def ended_early(manifest: dict[str, Any], members: Members) -> None:
    rows(manifest, members, lambda data: b"\\.\n" + data)


def of_another_key(manifest: dict[str, Any], members: Members) -> None:
    rows(manifest, members, lambda data: data.replace(data[-9:-1], b"00000000"), name="tenant_secrets")


DAMAGED = "The archive was cut off or altered, or is none: "
UNREADABLE = DAMAGED + "its manifest cannot be read."
LIES: dict[str, tuple[Change, str]] = {
    "more rows than there are": (set_in_table(rows=7), "The table items did not come back as it is in the archive"),
    "fewer rows than none": (set_in_table(rows=-1), UNREADABLE),
    "another checksum": (set_in_table(sha256="00" * 32), DAMAGED + "the table items is not what the manifest says."),
    "more bytes than any": (set_in_table(bytes=10**30), UNREADABLE),
    "a table twice": (renamed("users"), DAMAGED + "its manifest names something twice."),
    "a table with quotes": (renamed('x"; DROP SCHEMA platform; --'), 'there is no table x"; DROP SCHEMA platform; --.'),
    "a table of the kernel": (table_of_ours, "there is no table alembic_version."),
    "a table of another place": (renamed("../platform/tenants"), "there is no table ../platform/tenants."),
    "a column that is not there": (extra_column('a"b\x1b[2J'), 'the table items differs in a"b [2J.'),
    "a column twice": (extra_column("id"), DAMAGED + "its manifest names something twice."),
    "a column less": (lambda manifest, _: table(manifest)["columns"].pop(), "the table items differs in "),
    "rows twice": (doubled, "the table items refuses its rows (duplicate key value violates unique constraint"),
    "rows that end early": (ended_early, ""),
    "a value that is none": (column("created_at", b"soon"), "the table items refuses its rows (invalid input syntax"),
    "a value that breaks a rule": (column("status", b"x"), "the table items refuses its rows (new row for relation"),
    "no UTF-8": (column("title", b"\xff"), "the table items refuses its rows (invalid byte sequence"),
    "too few fields": (column("title", b"x\n"), "the table items refuses its rows (missing data for column"),
    "nobody's owner": (column("owner_id", b"0" * 32), "the table items refuses its rows (insert or update on table"),
    "a secret of another": (of_another_key, DAMAGED + "a secret in it does not open."),
    "a limit that is none": (
        set_in("tenant", "limits", to={"items": "many"}),
        DAMAGED + "its manifest cannot be read.",
    ),
    "a feature that is none": (set_in("tenant", "features", to={"x": [1]}), UNREADABLE),
    "a rate that is none": (set_in("tenant", "rate_limits", to={"tenant": "x"}), DAMAGED + "one of its rate limits is"),
    "the domain of another": (
        set_in("tenant", "domains", to=["acme.leasehold.test"]),
        "The domain acme.leasehold.test",
    ),
    "the domain of all": (set_in("tenant", "domains", to=["leasehold.test"]), "The domain leasehold.test cannot be"),
    "no domain": (set_in("tenant", "domains", to=["a b"]), "The domain a b cannot be"),
    "a name that cannot be": (set_in("tenant", "name", to="a\0b"), "The database refuses a value"),
    "a time without a zone": (set_in("made_at", to="2026-01-01T00:00:00"), UNREADABLE),
    "another time without one": (set_in("tenant", "created_at", to="2026-01-01T00:00:00"), DAMAGED),
    "a time that is none here": (set_in("tenant", "created_at", to="0001-01-01T00:00:00+23:59"), ""),
    "an older revision": (set_in("revision", to="0001"), "The archive does not fit its revision 0001: "),
    "no revision": (set_in("revision", to="head"), "its revision head is not among those that this release has."),
    "a plan that is none": (set_in("tenant", "plan", to="a\n'b"), "This installation has no plan a 'b; make it first"),
}


async def load(process: Process, file: Path) -> Imported:
    with ArchiveFile(file) as archive:
        key = archive.key(PASSPHRASE)
        return await process.importer.load(archive, key, to=Destination(slug=new_slug()), by=OPERATOR)


def crafted(file: Path, members: Members, change: Change) -> Path:
    """Write an archive in which something is changed, with the right seal."""
    members = dict(members)
    manifest = msgspec.json.decode(msgspec.json.decode(members[MANIFEST], type=SealedManifest).manifest)
    change(manifest, members)
    text = msgspec.json.encode(manifest)
    members[MANIFEST] = msgspec.json.encode(SealedManifest(msgspec.Raw(text), KEY.seal(text)))
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


@pytest.mark.parametrize("lie", LIES)
async def test_a_manifest_that_lies_is_told_in_one_sentence_and_changes_nothing(
    process: Process, owner: Any, true: Members, tmp_path: Path, lie: str
) -> None:
    change, expected = LIES[lie]
    file, before = crafted(tmp_path / "archive", true, change), await owner.fetchrow(_TRACES)
    with pytest.raises((ArchiveRefused, Problem)) as refused:
        await load(process, file)
    sentence = str(refused.value)
    assert expected in sentence
    assert sentence.isprintable()
    assert await owner.fetchrow(_TRACES) == before


async def test_the_id_by_which_the_platform_calls_itself_is_given_to_nobody(
    process: Process, true: Members, tmp_path: Path
) -> None:
    def of_the_platform(manifest: dict[str, Any], members: Members) -> None:
        manifest["tenant"]["id"] = str(PLATFORM_LANE)
        rows(manifest, members, lambda _: b"", name="tenant_secrets")

    done = await load(process, crafted(tmp_path / "archive", true, of_the_platform))
    assert done.id != PLATFORM_LANE
    await purged(process, done.id)


async def test_of_two_archives_that_want_one_slug_one_gets_it(
    process: Process, owner: Any, true: Members, tmp_path: Path
) -> None:
    slug, file = new_slug(), crafted(tmp_path / "archive", true, lambda _manifest, _members: None)

    async def one() -> Imported:
        with ArchiveFile(file) as archive:
            return await process.importer.load(archive, KEY, to=Destination(slug=slug), by=OPERATOR)

    done = await asyncio.gather(one(), one(), one(), return_exceptions=True)
    refused = [one for one in done if isinstance(one, BaseException)]
    assert [str(one) for one in refused] == ["Another tenant has this slug, or had it until lately."] * 2
    assert await owner.fetchval("SELECT count(*) FROM platform.tenants WHERE slug = $1", slug) == 1
