"""`leasehold users`: how the first person gets into a tenant."""

import click
import msgspec
from rich_click import RichGroup

from leasehold.cli.operator import operator
from leasehold.cli.session import find_tenant, run, show
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.invitations.schemas import InvitationCreate, NewInvitation
from leasehold.workspace.invitations.service import InvitationService


@click.group(cls=RichGroup)
def users() -> None:
    """Let people into a tenant."""


@users.command()
@click.argument("slug")
@click.argument("email")
@click.option("--role", type=click.Choice(["owner", "admin", "member"]), default="member", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def invite(slug: str, email: str, role: str, as_json: bool) -> None:
    """Invite somebody, send no mail, and print the secret of the invitation, this once."""

    try:
        asked = msgspec.convert({"email": email, "role": role}, InvitationCreate)
    except msgspec.ValidationError as error:
        raise click.BadParameter("this is no e-mail address", param_hint="EMAIL") from error

    async def work(process: Process) -> NewInvitation:
        tenant = await find_tenant(process, slug)
        async with open_tenant_session(process.database, tenant) as session:
            invitations = InvitationService(session=session)
            made = await invitations.invite(email=asked.email, role=asked.role, by=operator())
            pepper = await read_pepper(session, process.key, tenant)
            secret = await invitations.renew_secret(made.id, pepper=pepper)
            link = process.links.to(tenant.slug, "accept-invitation", secret=secret)
            return NewInvitation(made.id, made.email, made.role, secret, link, made.expires_at)

    invitation = run(work)
    show(invitation, [f"invitation={invitation.secret}", f"link={invitation.link}"], as_json=as_json)
