"""The settings and their documentation in `.env.example` say the same."""

import re

import pytest

from leasehold.config import Settings
from tests.architecture.source import ROOT

_LINE = re.compile(r"^(?:#\s*)?(LEASEHOLD_[A-Z0-9_]+)=", re.MULTILINE)
_READ_BY_THE_COMMAND_LINE = {"LEASEHOLD_DATA_DIR", "LEASEHOLD_ADMIN_URL"}


@pytest.fixture
def documented() -> list[str]:
    return _LINE.findall((ROOT / ".env.example").read_text())


def test_every_setting_is_in_the_example(documented: list[str]) -> None:
    """Prevents an outage by a setting that operators could not know of, such as the one for old poolers."""
    assert {f"LEASEHOLD_{name.upper()}" for name in Settings.model_fields} - set(documented) == set()


def test_the_example_names_no_setting_that_nothing_reads(documented: list[str]) -> None:
    """Prevents a setting that was renamed in the code and is silently ignored where it was set."""
    known = {f"LEASEHOLD_{name.upper()}" for name in Settings.model_fields}
    assert set(documented) - known - _READ_BY_THE_COMMAND_LINE == set()


def test_the_example_names_each_setting_once(documented: list[str]) -> None:
    """Prevents the second of two lines from overruling what an operator wrote in the first."""
    assert sorted(documented) == sorted(set(documented))


def test_every_setting_says_what_it_does() -> None:
    """Prevents settings that are turned by guessing."""
    text = (ROOT / "src" / "leasehold" / "config.py").read_text()
    fields = "|".join(Settings.model_fields)
    described = re.findall(rf'^    ({fields}): .*\n    """\S.*\n', text, re.MULTILINE)
    assert described == list(Settings.model_fields)
