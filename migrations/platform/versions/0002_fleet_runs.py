"""fleet runs

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Said last in every transaction of a run, in the same message as its COMMIT. The lock holds off whoever takes the lease
# over until that COMMIT is through; so no transaction of a run can be committed once the lease is another's.
DEMAND_LEASE = """
CREATE FUNCTION platform.demand_lease(run uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM platform.fleet_leases WHERE run_id = run FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another run has taken the lease over' USING ERRCODE = 'LH001';
    END IF;
END
$$
"""
DEMAND_REVISION = """
CREATE FUNCTION platform.demand_revision(actual text, expected text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF actual IS DISTINCT FROM expected THEN
        RAISE EXCEPTION 'the schema stands at revision %, not at %: somebody else migrated it',
            coalesce(actual, 'base'), coalesce(expected, 'base') USING ERRCODE = 'LH002';
    END IF;
END
$$
"""


def upgrade() -> None:
    op.add_column(
        "tenants", sa.Column("is_canary", sa.Boolean(), server_default="false", nullable=False), schema="platform"
    )
    op.create_table(
        "fleet_leases",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("run_id", sa.UUID(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("backend_pid", sa.BigInteger(), nullable=False),
        sa.Column("backend_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fleet_leases")),
        sa.UniqueConstraint("name", name=op.f("uq_fleet_leases_name")),
        schema="platform",
        info={"rights": "read_only"},
    )
    op.create_table(
        "fleet_runs",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("planned", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('upgrade', 'downgrade', 'call')", name=op.f("ck_fleet_runs_kind")),
        sa.CheckConstraint("outcome IN ('succeeded', 'failed', 'stopped', 'lost')", name=op.f("ck_fleet_runs_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fleet_runs")),
        schema="platform",
        info={"rights": "read_only"},
    )
    op.create_table(
        "fleet_results",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("run_id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("start", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["platform.fleet_runs.id"], name=op.f("fk_fleet_results_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fleet_results")),
        sa.UniqueConstraint("run_id", "tenant_id", name=op.f("uq_fleet_results_run_id_tenant_id")),
        schema="platform",
        info={"rights": "append_only"},
    )
    op.create_index(op.f("ix_fleet_results_tenant_id"), "fleet_results", ["tenant_id"], unique=False, schema="platform")
    for function in (DEMAND_LEASE, DEMAND_REVISION):
        op.execute(function)
    op.execute("REVOKE ALL ON FUNCTION platform.demand_lease(uuid) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION platform.demand_lease(uuid) TO lh_app")
    op.execute("REVOKE ALL ON FUNCTION platform.demand_revision(text, text) FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP FUNCTION platform.demand_revision(text, text)")
    op.execute("DROP FUNCTION platform.demand_lease(uuid)")
    op.drop_index(op.f("ix_fleet_results_tenant_id"), table_name="fleet_results", schema="platform")
    op.drop_table("fleet_results", schema="platform")
    op.drop_table("fleet_runs", schema="platform")
    op.drop_table("fleet_leases", schema="platform")
    op.drop_column("tenants", "is_canary", schema="platform")
