"""What is planted by SQL in a transaction that is undone: the check that must see it, and what it must say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plant:
    """One thing that is wrong; `{acme}` is the schema of a tenant, `{role}` its role, `{database}` the database."""

    code: str
    check: str
    sql: str
    says: str
    others: frozenset[str] = frozenset()
    """What the same check rightly finds besides."""


def _job(state: str, *, minutes: int = 0) -> str:
    return (
        "INSERT INTO platform.jobs (id, name, arguments, priority, state, max_attempts, run_at) VALUES "
        f"(gen_random_uuid(), 'mail.send', '{{{{}}}}', 0, '{state}', 3, now() - interval '{minutes} minutes')"
    )


_TENANT = "(SELECT id FROM platform.tenants WHERE slug = 'acme')"
_RUN = (
    "INSERT INTO platform.fleet_runs (id, kind, target, host, pid, planned, started_at) VALUES "
    "('ffffffff-0000-7000-8000-000000000000', 'upgrade', 'head', 'elsewhere', 7, 2, '2026-01-02 03:04+00')"
)
_NEWER_VACANCY = """
INSERT INTO platform.tenant_revisions (id, revision, served_by, fingerprint)
VALUES (gen_random_uuid(), 'next', '{head}', '');
UPDATE platform.tenants SET revision = 'next', state = 'vacant' WHERE slug = 'acme'
"""
PLANTS = (
    Plant("time-zone", "server", "SET LOCAL timezone = 'Europe/Zurich'", "Europe/Zurich"),
    Plant("timeout-short", "server", "SET LOCAL statement_timeout = '90s'", "statement_timeout is set to 90 s"),
    Plant("citus-hides-tables", "server", "SET LOCAL citus.override_table_visibility = 'on'", "Citus hides its tables"),
    Plant(
        "doors-open",
        "doors",
        'GRANT TEMPORARY, CONNECT ON DATABASE "{database}" TO PUBLIC',
        "Everybody who can log in to this server may: make temporary tables, which could shadow a tenant's, connect to",
    ),
    Plant("database-owner", "doors", 'ALTER DATABASE "{database}" OWNER TO lh_app', "belongs to lh_app, not to"),
    Plant("app-search-path", "doors", 'SET LOCAL search_path = "{acme}", pg_temp', "search_path of the login of the"),
    Plant("platform-rights", "doors", "REVOKE SELECT ON platform.jobs FROM lh_app", "1 statements are missing"),
    Plant(
        "platform-not-migrated",
        "revisions",
        "UPDATE platform.alembic_version SET version_num = '0001'",
        "The shared schema stands at 0001, behind",
    ),
    Plant(
        "platform-newer",
        "revisions",
        "UPDATE platform.alembic_version SET version_num = 'next'",
        "stands at next, which this release does not know",
    ),
    Plant(
        "tenants-behind",
        "revisions",
        "UPDATE platform.tenants SET revision = '0001' WHERE slug = 'acme'",
        "1 tenants do not stand at",
        frozenset({"tenants-shut-out"}),
    ),
    Plant(
        "tenants-shut-out",
        "revisions",
        "UPDATE platform.tenants SET revision = 'next' WHERE slug = 'acme'",
        "1 tenants stand at revisions that this release cannot serve, and are answered 503: acme",
        frozenset({"tenants-behind"}),
    ),
    Plant(
        "migrations-failed",
        "revisions",
        "UPDATE platform.tenants SET revision = '0001' WHERE slug = 'acme'; " + _RUN + "; "
        "INSERT INTO platform.fleet_results "
        "(id, run_id, tenant_id, start, target, error, attempts, duration_ms, finished_at) VALUES (gen_random_uuid(), "
        f"'ffffffff-0000-7000-8000-000000000000', {_TENANT}, '0001', 'head', 'boom', 1, 5, now())",
        "The last migration of 1 tenants has failed: acme",
        frozenset({"tenants-behind", "tenants-shut-out"}),
    ),
    Plant("signing-key-missing", "secrets", "DELETE FROM platform.signing_keys", "no key that signs"),
    Plant(
        "tenant-role-missing", "tenant-roles", 'REVOKE "{role}" FROM lh_app GRANTED BY lh_owner', "the role of acme:"
    ),
    Plant("tenant-role-too-mighty", "tenant-roles", 'ALTER ROLE "{role}" LOGIN', "The role of acme may more"),
    Plant(
        "tenant-role-too-mighty",
        "tenant-roles",
        'GRANT pg_read_all_data TO "{role}" WITH INHERIT FALSE',
        "The role of acme may more",
    ),
    Plant(
        "app-in-tenant-schema",
        "tenant-roles",
        'GRANT USAGE ON SCHEMA "{acme}" TO lh_app',
        "has rights on the schema of acme without",
    ),
    Plant(
        "tenants-drifted",
        "shapes",
        'ALTER TABLE "{acme}".items ADD COLUMN by_hand text',
        "The schemas of 1 of 2 tenants do not look as the migrations make them: acme",
    ),
    Plant("tenant-schema-missing", "shapes", 'DROP SCHEMA "{acme}" CASCADE', "tenants without a schema: acme"),
    Plant("reference-drifted", "shapes", "DROP TABLE tenant_reference.items", "The reference schema does not look"),
    Plant(
        "lease-stale",
        "runs",
        "INSERT INTO platform.fleet_leases "
        "(id, name, run_id, host, pid, backend_pid, backend_started_at, started_at, expires_at) VALUES "
        "(gen_random_uuid(), 'migrations', gen_random_uuid(), 'elsewhere', 7, 0, now(), now(), now() + interval '1 h')",
        "on elsewhere, process 7, has ended",
    ),
    Plant("run-unfinished", "runs", _RUN, "(upgrade head, begun 2026-01-02 03:04 UTC) has no end"),
    Plant("worker-missing", "jobs", "DELETE FROM platform.job_workers", "No worker was seen for 30 seconds"),
    Plant("jobs-dead", "jobs", "; ".join([_job("dead")] * 2), "2 jobs have failed too often", frozenset()),
    Plant(
        "jobs-waiting",
        "jobs",
        _job("ready", minutes=10),
        "The job mail.send, which is the next in its lane, waits since 600 seconds.",
    ),
    Plant(
        "periodic-task-failed",
        "jobs",
        "INSERT INTO platform.periodic_tasks (id, name, cron, due_at, ended_at, outcome) VALUES "
        "(gen_random_uuid(), 'kernel.tidy_up', '* * * * *', now(), now(), 'failed')",
        "has failed when it last ran: kernel.tidy_up",
    ),
    Plant(
        "purge-overdue",
        "lives",
        "UPDATE platform.tenants SET state = 'deleted', purge_at = now() - interval '2 days' WHERE slug = 'acme'",
        "1 deleted tenants should have been purged more than a day ago: acme",
    ),
    Plant(
        "purge-unfinished",
        "lives",
        "INSERT INTO platform.tenant_purges (id, tenant_id, started_at, row_counts) VALUES "
        f"(gen_random_uuid(), {_TENANT}, now() - interval '2 hours', '{{{{}}}}')",
        "The purge of 1 tenants began more than an hour ago",
    ),
    Plant(
        "restore-unconfirmed",
        "lives",
        "INSERT INTO platform.tenant_restores "
        "(id, tenant_id, aside_id, schema_name, role_name, made_at, set_aside_at) VALUES "
        f"(gen_random_uuid(), {_TENANT}, {_TENANT}, 't', 'r', now(), now() - interval '8 days')",
        "1 tenants were put back more than 7 days ago, and what they had is kept since: acme",
    ),
    Plant(
        "check-failed",
        "jobs",
        "DROP TABLE platform.periodic_tasks",
        'The check jobs could not be made: relation "platform.periodic_tasks" does not exist',
    ),
)
HARMLESS = (
    ("jobs", _job("ready", minutes=4)),
    ("jobs", _job("delayed", minutes=-600)),
    (
        "lives",
        "UPDATE platform.tenants SET state = 'deleted', purge_at = now() + interval '9 days' WHERE slug = 'acme'",
    ),
    ("server", "SET LOCAL statement_timeout = '10min'"),
    ("revisions", _NEWER_VACANCY),
)
"""What stands in a healthy installation every day, and looks a little like something else."""
