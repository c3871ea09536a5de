"""The pepper of what admins hold: derived from the installation key, for the platform has no secret of its own."""

from leasehold.core.vault import InstallationKey

_PEPPER = "platform pepper"


def platform_peppers(key: InstallationKey) -> tuple[bytes, ...]:
    """Return the keys of what is stored as a digest; the first is the one to store by."""
    return key.derived(_PEPPER)
