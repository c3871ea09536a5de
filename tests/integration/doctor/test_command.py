"""`leasehold doctor` as a person and a program run it, and its page in the documentation."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from leasehold.cli.doctor import doctor
from leasehold.config import Settings
from leasehold.core.vault import InstallationKey, InvalidInstallationKey
from leasehold.tenancy.doctor.reference import findings_as_markdown
from tests.integration.cli.shell import leasehold


@pytest.fixture
def env(healthy: Settings, admin: Any) -> dict[str, str]:
    values = {
        "DATABASE_URL": healthy.database_url,
        "DIRECT_URL": healthy.direct_url,
        "OWNER_URL": healthy.owner_url,
        "INSTALLATION_KEY": healthy.installation_key,
        "BACKUP_URL": SecretStr(healthy.backup_url or ""),
        "BACKUP_PASSPHRASE": healthy.backup_passphrase,
    }
    secrets = {name: value for name, value in values.items() if isinstance(value, SecretStr)}
    return {f"LEASEHOLD_{name}": value.get_secret_value() for name, value in secrets.items()}


def test_it_prints_plain_lines_and_ends_with_1_for_a_problem(env: dict[str, str]) -> None:
    wrong = env | {"LEASEHOLD_INSTALLATION_KEY": InstallationKey.generate(), "LEASEHOLD_VACANCIES": "2"}
    finished = leasehold("doctor", env=wrong)
    assert (finished.returncode, finished.stderr) == (1, "")
    lines = finished.stdout.splitlines()
    assert lines[0] == (
        "problem installation-key-wrong: LEASEHOLD_INSTALLATION_KEY does not open 1 of the stored secrets of the "
        "platform (in signing_keys)."
    )
    assert lines[1].startswith("  mend: Set the key that this installation was made with.")
    assert lines[2].startswith("warning vacancies-few: 0 of 2 vacancies stand ready at ")
    assert lines[4:] == ["16 checks, 1 problems, 1 warnings"]


def test_it_prints_json_and_ends_with_0_for_warnings_unless_it_is_strict(env: dict[str, str]) -> None:
    with_warning = env | {"LEASEHOLD_VACANCIES": "2"}
    runner = CliRunner(env=with_warning)
    report = json.loads(runner.invoke(doctor, ["lives", "urls", "--json", "--deep"], catch_exceptions=False).stdout)
    assert (report["checked"], report["left_out"], report["problems"]) == (["urls", "lives"], [], 0)
    assert [finding["code"] for finding in report["findings"]] == ["vacancies-few"]
    assert [runner.invoke(doctor, ["lives", *more]).exit_code for more in ([], ["--strict"])] == [0, 1]


def test_settings_that_cannot_be_used_are_refused(env: dict[str, str]) -> None:
    runner = CliRunner(env=env | {"LEASEHOLD_INSTALLATION_KEY": "none"})
    assert isinstance(runner.invoke(doctor).exception, InvalidInstallationKey)


def test_the_page_says_what_the_code_finds(project: Path) -> None:
    assert (project / "docs/reference/doctor.md").read_text() == findings_as_markdown(), "run `just reference`"
