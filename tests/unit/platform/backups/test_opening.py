"""What the settings say of backups, and which sentence says that it is missing."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.platform.backups.opening import backup_passphrase, open_store
from leasehold.platform.backups.refusals import NoBackupPassphrase, NoBackupStore, PassphraseNotReadable


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("LEASEHOLD_BACKUP_URL", raising=False)
    return Settings(
        database_url=SecretStr("postgresql://lh_app@db/leasehold"),
        installation_key=SecretStr("lhk_x"),
        backup_passphrase=None,
        backup_passphrase_file=None,
    )


def test_without_a_url_there_is_no_store(settings: Settings) -> None:
    with pytest.raises(NoBackupStore, match=r"^There is no place for backups; set LEASEHOLD_BACKUP_URL to "):
        open_store(settings)


def test_the_passphrase_comes_from_the_settings_or_from_the_first_line_of_a_file(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "passphrase"
    file.write_text("of the file\nnot this\n")
    of_file = settings.model_copy(update={"backup_passphrase_file": file})
    assert backup_passphrase(of_file) == "of the file"
    assert backup_passphrase(of_file.model_copy(update={"backup_passphrase": SecretStr("given")})) == "given"

    file.write_text("\n")
    for none in (settings, of_file):
        with pytest.raises(
            NoBackupPassphrase, match=r"^Backups need a passphrase; set LEASEHOLD_BACKUP_PASSPHRASE or "
        ):
            backup_passphrase(none)
    file.unlink()
    with pytest.raises(PassphraseNotReadable, match="cannot be read: No such file or directory"):
        backup_passphrase(of_file)


def test_without_the_extra_only_backups_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "obstore.py").write_text("raise ModuleNotFoundError('gone', name='obstore')")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import leasehold.cli.commands\n"
        "from leasehold.config import Settings\n"
        "from leasehold.platform.backups.opening import open_store\n"
        "try:\n"
        "    open_store(Settings(database_url='postgresql://x@y/z', installation_key='k', backup_url='file:///x'))\n"
        "except Exception as error:\n"
        "    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "LEASEHOLD_BACKUP_URL needs the extra `backup`: install leasehold[backup].\n"
