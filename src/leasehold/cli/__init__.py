"""The `leasehold` command: the same services as HTTP, for those who run the platform and those who deploy it."""

import gc

# Nothing that is imported is garbage, now or at the end, and to look for some took a fifth of a short command's time.
_collects = gc.isenabled()
gc.disable()

from leasehold.cli.commands import main  # noqa: E402

gc.freeze()
if _collects:
    gc.enable()

__all__ = ["main"]
