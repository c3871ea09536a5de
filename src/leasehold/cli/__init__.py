"""The `leasehold` command: the same services as HTTP, for those who run the platform and those who deploy it."""

from leasehold.cli.commands import main

__all__ = ["main"]
