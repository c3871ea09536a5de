"""Where the passphrase of an archive comes from; never from an argument, which every user of the machine can read."""

import os
import sys
from pathlib import Path

import click

PASSPHRASE = "LEASEHOLD_ARCHIVE_PASSPHRASE"  # the name of the variable

passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Read the passphrase from the first line of a file. Without it: {PASSPHRASE}, or you are asked.",
)


def passphrase_from(file: Path | None, *, is_new: bool) -> str:
    """Return the passphrase of a file, of the environment, or of who sits at the terminal; a new one is asked twice.

    Raises:
        click.UsageError: there is none, and nobody to ask.
    """
    if file is not None:
        try:
            return file.read_text().partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"The passphrase file {file} cannot be read.") from error
    if found := os.environ.get(PASSPHRASE):
        return found
    if not sys.stdin.isatty():
        raise click.UsageError(f"Set {PASSPHRASE}, or name a --passphrase-file: the secrets in an archive need one.")
    return click.prompt("Passphrase of the archive", hide_input=True, confirmation_prompt=is_new, err=True)
