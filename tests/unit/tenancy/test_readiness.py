"""Which revisions of the shared schema a process can serve."""

from pathlib import Path

from leasehold.tenancy.readiness import outdated_revisions


def test_every_revision_but_the_head_is_outdated(tmp_path: Path) -> None:
    versions = tmp_path / "platform" / "versions"
    versions.mkdir(parents=True)
    for revision, before in (("0001", None), ("0002", "0001"), ("0003", "0002")):
        (versions / f"{revision}.py").write_text(f"revision = {revision!r}\ndown_revision = {before!r}\n")
    assert outdated_revisions(tmp_path) == {"0001", "0002"}
