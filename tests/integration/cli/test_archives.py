"""`leasehold tenants export` and `import`, as a person and as a program run them."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.integration.cli.shell import Environment, leasehold, refusal_of, succeeded

_PASSPHRASE = {"LEASEHOLD_ARCHIVE_PASSPHRASE": "a horse that nobody names"}


def test_a_tenant_is_exported_and_comes_in_again_under_another_slug(
    installed: Environment, provision: Callable[..., None], tmp_path: Path
) -> None:
    provision(installed, "mover")
    env, file = {**installed, **_PASSPHRASE}, tmp_path / "mover.archive"
    said = succeeded(leasehold("tenants", "export", "mover", "-o", file, env=env))
    assert said.startswith(f"mover is in {file}: 2 rows of 15 tables at revision ")
    assert file.stat().st_mode & 0o777 == 0o600

    secret = tmp_path / "passphrase"
    secret.write_text("a horse that nobody names\n")
    arguments = ("import", file, "--slug", "moved", "--passphrase-file", secret, "--json")
    done = json.loads(succeeded(leasehold("tenants", *arguments, env=installed)))
    assert (done["slug"], done["state"], done["rows"], done["has_kept_id"]) == ("moved", "active", 2, False)

    wrong = {**installed, "LEASEHOLD_ARCHIVE_PASSPHRASE": "another horse altogether"}
    assert refusal_of(leasehold("tenants", "import", file, "--slug", "x", env=wrong)) == (
        "This is not the passphrase of the archive."
    )
    asked = leasehold("tenants", "import", file, env=installed)
    assert asked.returncode == 2
    assert "Set LEASEHOLD_ARCHIVE_PASSPHRASE, or name a --passphrase-file" in asked.stderr
