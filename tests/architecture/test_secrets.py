"""No secret that works is in the repository: neither one of ours, nor one of those that others know by their looks."""

import re
import subprocess
from contextlib import suppress

import pytest

from leasehold.core.credentials import MalformedSecret, new_secret, parse_secret
from leasehold.core.vault import InstallationKey
from tests.architecture.source import ROOT

# Each in two parts, so that this file has not what it looks for.
_KNOWN = {
    "a private key": "-----BEGIN [A-Z ]*" + "PRIVATE KEY-----",
    "a key of AWS": r"\b(?:AKIA|ASIA)" + r"[0-9A-Z]{16}\b",
    "a token of GitHub": r"\b(?:ghp|gho|ghu|ghs|ghr)_" + r"[A-Za-z0-9]{36}|\bgithub_pat_" + r"[A-Za-z0-9_]{22,}",
    "a token of GitLab": r"\bglpat-" + r"[A-Za-z0-9_-]{20}\b",
    "a token of Slack": r"\bxox[abprs]-" + r"[A-Za-z0-9-]{10,}",
    "a key of Stripe": r"\b[rs]k_live_" + r"[A-Za-z0-9]{16,}",
    "a key of Google": r"\bAIza" + r"[A-Za-z0-9_-]{35}\b",
    "a JSON Web Token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ" + r"[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
}
_OURS = re.compile(r"\blh_[a-z]+_(?:[0-9A-Za-z]{22}_)?[0-9A-Za-z]{38}\b")
_INSTALLATION_KEY = re.compile(r"\blhk_[A-Za-z0-9_-]{43}\b")


def secrets_in(text: str) -> list[str]:
    """Return what a text has that should be nowhere, by what it is."""
    found = [name for name, pattern in _KNOWN.items() if re.search(pattern, text)]
    found += ["an installation key"] * len(_INSTALLATION_KEY.findall(text))
    for candidate in _OURS.findall(text):
        with suppress(MalformedSecret):  # an example that no server would take
            found.append(f"a {parse_secret(candidate).kind} secret")
    return found


def test_no_file_has_a_secret() -> None:
    """Prevents the key of an installation, or of a cloud, that everybody has who has the code."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert len(files) > 500
    found = {
        str(file.relative_to(ROOT)): secrets
        for file in files
        if file.is_file() and (secrets := secrets_in(file.read_bytes().decode(errors="replace")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "secret",
    [
        new_secret("key", tenant_id=None),
        InstallationKey.generate(),
        "-----BEGIN EC " + "PRIVATE KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a" * 36,
        "eyJhbGciOiJub25lIn0." + "eyJzdWIiOiIxMjM0In0." + "a" * 43,
    ],
    ids=["ours", "installation key", "PEM", "AWS", "GitHub", "JWT"],
)
def test_a_planted_secret_is_found(secret: str) -> None:
    assert secrets_in(f'token = "{secret}"\n')
