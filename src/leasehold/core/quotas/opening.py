"""Opens the store in Valkey, where the extra for it is installed."""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from leasehold.core.quotas.shared import QuotaStore


class ValkeyStore(QuotaStore, Protocol):
    """A store that can say what it is."""

    async def facts(self) -> Mapping[str, str]:
        """Return what the server tells of itself (INFO), nothing where it may not be asked.

        Raises:
            StoreAway: it cannot be reached, or does not answer in time.
        """
        ...


class ValkeyNotInstalled(RuntimeError):
    """LEASEHOLD_RATE_LIMIT_STORE=valkey needs the extra `valkey`: install leasehold[valkey]."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def open_valkey(url: str, *, installation: str, timeout_s: float) -> ValkeyStore:
    """Return the store at a URL, not connected yet.

    Raises:
        ValkeyNotInstalled: nothing is there to speak with it.
    """
    try:
        # By name, for without the extra there is nothing to import.
        store = import_module("leasehold.core.quotas.valkey")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "valkey":
            raise ValkeyNotInstalled from error
        raise
    return store.ValkeyQuotas(url, installation=installation, timeout_s=timeout_s)
