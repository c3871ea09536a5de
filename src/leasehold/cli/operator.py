"""Who acts at the command line: whoever holds the secrets of the installation."""

import click

from leasehold.core.actor import Actor


def operator() -> Actor:
    """Return the operator, by the command that they gave; none of its arguments, which may be personal."""
    context = click.get_current_context(silent=True)
    return Actor.operator(context.command_path if context else "leasehold")
