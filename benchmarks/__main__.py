"""`python -m benchmarks`: says what can be measured; `python -m benchmarks requests` measures it."""

import sys

from benchmarks import archive, jobs, life, memory, migrate, neighbours, observe, requests, roles

_USAGE = """\
usage: python -m benchmarks COMMAND [OPTIONS]

  requests   what a request costs, beside raw asyncpg and beside its peers (about four minutes; --short: ten seconds)
  roles      what thousands of tenant roles cost, while memberships are granted
  memory     whether memory stays flat while requests go round 5,000 tenants (about ten minutes; --short: ten seconds)
  migrate    how fast a fleet is migrated, beside SQL by hand and Alembic (about four minutes; --short: ten seconds)
  provision  what it costs to claim, to build and to purge a tenant, beside SQL by hand (about three minutes; --short:
             a few seconds)
  archive    how long a tenant takes to leave and to come back, beside pg_dump and psql, alone and among 1,000 others
             (about ten minutes; --short: ten seconds)
  jobs       what a job costs and how soon it starts, beside pgqueuer and SQL by hand (about eight minutes; --short: ten
             seconds)
  neighbours what 99 quiet tenants notice of a noisy one (about four minutes; --short: ten seconds)
  observe    what metrics, spans and the log of slow statements cost a request, in a loop (half a minute)

Each has --help. benchmarks/README.md says what is measured, and what is not."""


def main() -> int:
    """Run one command."""
    commands = {
        "requests": requests.main,
        "roles": roles.main,
        "memory": memory.main,
        "migrate": migrate.main,
        "provision": life.main,
        "archive": archive.main,
        "jobs": jobs.main,
        "observe": observe.main,
        "neighbours": neighbours.main,
    }
    name, *arguments = sys.argv[1:] or ["--help"]
    if name not in commands:
        print(_USAGE)
        return 0 if name in {"-h", "--help"} else 2
    commands[name](arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
