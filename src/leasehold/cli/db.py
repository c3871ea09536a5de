"""`leasehold db`: makes a database ready."""

import asyncio
import secrets

import click
from rich_click import RichGroup

from leasehold.core.vault import InstallationKey
from leasehold.tenancy.install import install, with_login
from leasehold.tenancy.names import APP_ROLE, OWNER_ROLE


@click.group(cls=RichGroup)
def db() -> None:
    """Prepare the database server."""


@db.command()
@click.option("--admin-url", required=True, envvar="LEASEHOLD_ADMIN_URL", help="A login with CREATEROLE and CREATEDB.")
@click.option("--database", default="leasehold", show_default=True, help="The database to make or to prepare.")
@click.option("--new-passwords", is_flag=True, help="Change the passwords of logins that are already there.")
def init(admin_url: str, database: str, new_passwords: bool) -> None:
    """Make roles and rights on a PostgreSQL 16 or newer, without superuser, and print the settings to use it.

    It may be run again: what is there stays, passwords too.
    """
    owner_password, app_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    made = asyncio.run(
        install(
            admin_url,
            database=database,
            owner_password=owner_password,
            app_password=app_password,
            keep_passwords=not new_passwords,
        )
    )
    shown = {
        OWNER_ROLE: owner_password if OWNER_ROLE in made else "PASSWORD-AS-BEFORE",
        APP_ROLE: app_password if APP_ROLE in made else "PASSWORD-AS-BEFORE",
    }
    app_url = with_login(admin_url, user=APP_ROLE, password=shown[APP_ROLE], database=database)
    click.echo(f"LEASEHOLD_DATABASE_URL={app_url}")
    click.echo(f"LEASEHOLD_DIRECT_URL={app_url}")
    owner_url = with_login(admin_url, user=OWNER_ROLE, password=shown[OWNER_ROLE], database=database)
    click.echo(f"LEASEHOLD_OWNER_URL={owner_url}")
    if OWNER_ROLE in made and not new_passwords:
        click.echo(f"LEASEHOLD_INSTALLATION_KEY={InstallationKey.generate()}")
