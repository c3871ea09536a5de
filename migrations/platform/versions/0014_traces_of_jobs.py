"""traces of jobs

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Beside those without a trace, by which running processes of the release before ask for jobs.
ENQUEUE_JOB = """
CREATE FUNCTION platform.enqueue_job(
    tenant uuid, job uuid, job_name text, job_arguments jsonb, job_priority bigint, most_attempts bigint,
    delay_s double precision, job_dedupe_key text, job_traceparent text
) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO platform.jobs (
        id, tenant_id, name, arguments, priority, max_attempts, state, run_at, dedupe_key, traceparent
    ) VALUES (
        job, tenant, job_name, job_arguments, job_priority, most_attempts,
        CASE WHEN delay_s > 0 THEN 'delayed' ELSE 'ready' END, now() + make_interval(secs => delay_s),
        job_dedupe_key, job_traceparent
    )
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
ENQUEUE_OWN_JOB = """
CREATE FUNCTION platform.enqueue_own_job(
    job uuid, job_name text, job_arguments jsonb, job_priority bigint, most_attempts bigint,
    delay_s double precision, job_dedupe_key text, job_traceparent text
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
        own, job, job_name, job_arguments, job_priority, most_attempts, delay_s, job_dedupe_key, job_traceparent
    );
END
$$
"""
FUNCTIONS = {
    "platform.enqueue_job(uuid, uuid, text, jsonb, bigint, bigint, double precision, text, text)": "lh_app",
    "platform.enqueue_own_job(uuid, text, jsonb, bigint, bigint, double precision, text, text)": "lh_tenant",
}


def upgrade() -> None:
    op.add_column("jobs", sa.Column("traceparent", sa.Text(), nullable=True), schema="platform")
    for function in (ENQUEUE_JOB, ENQUEUE_OWN_JOB):
        op.execute(function)
    for function, role in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    op.drop_column("jobs", "traceparent", schema="platform")
