"""jobs

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ENQUEUE_JOB = """
CREATE FUNCTION platform.enqueue_job(
    tenant uuid, job uuid, job_name text, job_arguments jsonb, job_priority bigint, most_attempts bigint,
    delay_s double precision, job_dedupe_key text
) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO platform.jobs (id, tenant_id, name, arguments, priority, max_attempts, state, run_at, dedupe_key)
    VALUES (job, tenant, job_name, job_arguments, job_priority, most_attempts,
            CASE WHEN delay_s > 0 THEN 'delayed' ELSE 'ready' END, now() + make_interval(secs => delay_s),
            job_dedupe_key)
    ON CONFLICT (lane, name, dedupe_key) WHERE dedupe_key IS NOT NULL AND state IN ('delayed', 'ready', 'running')
    DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pg_notify('leasehold_jobs', '');
    RETURN true;
END
$$
"""
# What a tenant's transaction may leave in the platform. The owner's rights apply inside, and the tenant is the one whose
# role is bound, whatever the caller says: `role` is what SET ROLE set, which SECURITY DEFINER does not change.
ENQUEUE_OWN_JOB = """
CREATE FUNCTION platform.enqueue_own_job(
    job uuid, job_name text, job_arguments jsonb, job_priority bigint, most_attempts bigint,
    delay_s double precision, job_dedupe_key text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own uuid;
BEGIN
    SELECT t.id INTO own FROM platform.tenants t WHERE t.role_name = current_setting('role');
    IF NOT FOUND THEN
        RAISE insufficient_privilege USING MESSAGE = 'only a tenant can enqueue a job of its own';
    END IF;
    RETURN platform.enqueue_job(
        own, job, job_name, job_arguments, job_priority, most_attempts, delay_s, job_dedupe_key
    );
END
$$
"""
# Ends a job that succeeded, if it is still this worker's: said in the transaction of the job itself, so that its rows
# are there exactly once. What a periodic task came to is kept with the task.
FINISH_JOB = """
CREATE FUNCTION platform.finish_job(job uuid, worker uuid, attempt bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    task text;
BEGIN
    DELETE FROM platform.jobs j
     WHERE j.id = job AND j.worker_id = worker AND j.attempts = attempt AND j.state = 'running'
     RETURNING j.periodic_task INTO task;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE platform.periodic_tasks SET outcome = 'succeeded', error = NULL, ended_at = now() WHERE name = task;
    RETURN true;
END
$$
"""
# A process reads changes within a second, or everything anew; the login of the app may only add to them.
FORGET_CHANGES = """
CREATE FUNCTION platform.forget_changes() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    DELETE FROM platform.registry_changes WHERE created_at < now() - interval '1 hour';
END
"""
FUNCTIONS = {
    "platform.enqueue_job(uuid, uuid, text, jsonb, bigint, bigint, double precision, text)": "lh_app",
    "platform.enqueue_own_job(uuid, text, jsonb, bigint, bigint, double precision, text)": "lh_tenant",
    "platform.finish_job(uuid, uuid, bigint)": "lh_app",
    "platform.forget_changes()": "lh_app",
}


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=True),
        sa.Column(
            "lane",
            sa.UUID(),
            sa.Computed("coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'::uuid)", persisted=True),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.BigInteger(), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=True),
        sa.Column("periodic_task", sa.Text(), nullable=True),
        sa.Column("worker_id", sa.UUID(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('delayed', 'ready', 'running', 'dead', 'dropped')", name=op.f("ck_jobs_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        schema="platform",
    )
    for name, columns, condition in (
        ("ix_jobs_ready", ["lane", sa.text("priority DESC"), "run_at", "id"], "state = 'ready'"),
        ("ix_jobs_delayed", ["run_at"], "state = 'delayed'"),
        ("ix_jobs_running", ["worker_id"], "state = 'running'"),
        ("ix_jobs_waiting_tenant_id", ["tenant_id"], "state IN ('delayed', 'ready')"),
        ("ix_jobs_ended", ["state", "id"], "state IN ('dead', 'dropped')"),
    ):
        op.create_index(name, "jobs", columns, unique=False, schema="platform", postgresql_where=sa.text(condition))
    op.create_index(
        "uq_jobs_dedupe_key",
        "jobs",
        ["lane", "name", "dedupe_key"],
        unique=True,
        schema="platform",
        postgresql_where=sa.text("dedupe_key IS NOT NULL AND state IN ('delayed', 'ready', 'running')"),
    )
    # Every job leaves at least two dead rows behind, and the next one is looked for among them.
    op.execute("ALTER TABLE platform.jobs SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)")
    op.create_table(
        "job_workers",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_workers")),
        schema="platform",
    )
    op.create_table(
        "periodic_tasks",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("outcome IN ('succeeded', 'failed')", name=op.f("ck_periodic_tasks_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_periodic_tasks")),
        sa.UniqueConstraint("name", name=op.f("uq_periodic_tasks_name")),
        schema="platform",
    )
    for function in (ENQUEUE_JOB, ENQUEUE_OWN_JOB, FINISH_JOB, FORGET_CHANGES):
        op.execute(function)
    for function, role in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    op.drop_table("periodic_tasks", schema="platform")
    op.drop_table("job_workers", schema="platform")
    op.drop_table("jobs", schema="platform")
