"""A run with nothing to do: most deploys. It asks a handful of questions, none of them of a tenant."""

from urllib.parse import urlsplit

from pydantic import SecretStr

from leasehold.cli.fleet_run import fleet_run
from leasehold.config import Settings
from leasehold.tenancy.fleet.plan import RunOptions
from tests.fleets import provision
from tests.postgres_proxy import proxy


async def test_a_run_with_nothing_to_do_asks_at_most_five_questions(own: Settings) -> None:
    await provision(own, 3)
    assert own.owner_url is not None
    parts = urlsplit(own.owner_url.get_secret_value())
    assert parts.hostname is not None
    async with proxy(parts.hostname, parts.port or 5432) as traffic:
        through = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{traffic.port}").geturl()
        summary = await fleet_run(own.model_copy(update={"owner_url": SecretStr(through)}), RunOptions()).run()
        asked = list(traffic.statements)
    assert (summary.outcome, summary.fleet, summary.planned) == ("succeeded", 3, 0)
    assert len(asked) <= 5, asked
    assert not [statement for statement in asked if '"t_' in statement]
