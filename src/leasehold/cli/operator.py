"""Who acts at the command line: whoever holds the secrets of the installation."""

import click

from leasehold.core.actor import Actor


def operator() -> Actor:
    """Return the operator, by the command that they gave; none of its arguments, which may be personal."""
    names: list[str] = []
    context = click.get_current_context(silent=True)
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    return Actor.operator(" ".join(["leasehold", *names]))
