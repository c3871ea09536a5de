"""`leasehold reference`: what the documentation has from the code."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr
from rich_click import RichGroup

from leasehold.config import Settings
from leasehold.core.vault import InstallationKey
from leasehold.http.openapi.compatibility import broken_by
from leasehold.http.openapi.document import document_of
from leasehold.http.problems import catalogue_as_markdown
from leasehold.main import create_app
from leasehold.tenancy.doctor.reference import findings_as_markdown


class BreakingChanges(RuntimeError):
    """Clients of the document in {file} would break; say --allow-breaking if they shall: {changes}."""

    def __init__(self, file: Path, changes: Sequence[str]) -> None:
        super().__init__((self.__doc__ or "").format(file=file, changes="; ".join(changes)))


@click.group(cls=RichGroup)
def reference() -> None:
    """Write what the documentation has from the code."""


@reference.command()
def problems() -> None:
    """Print the catalogue of problem types, as docs/reference/problems.md has it."""
    click.echo(catalogue_as_markdown(), nl=False)


@reference.command()
def findings() -> None:
    """Print what the doctor finds, as docs/reference/doctor.md has it."""
    click.echo(findings_as_markdown(), nl=False)


@reference.command()
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="The file to write; print it if missing."
)
@click.option("--allow-breaking", is_flag=True, help="Write it though it breaks clients of what is in the file.")
def openapi(output: Path | None, *, allow_breaking: bool) -> None:
    """Print the OpenAPI document, or write it to a file unless that breaks clients of the document in there."""
    document = openapi_document()
    text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists() and not allow_breaking:
        changes = broken_by(document, json.loads(output.read_text()))
        if changes:
            raise BreakingChanges(output, changes)
    output.write_text(text)


def openapi_document() -> dict[str, Any]:
    """Return the document of an installation with the settings that are the default; nothing is opened for it."""
    nowhere = SecretStr("postgresql://nobody@localhost/nowhere")
    settings = Settings(
        database_url=nowhere, installation_key=SecretStr(InstallationKey.generate()), log_level="warning"
    )
    return document_of(create_app(settings).app)
