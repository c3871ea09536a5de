"""former slugs

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Called once the row of the tenant has the slug: whoever gave it up lately held that same key of the index on slugs,
# so their transaction is over, and what it left here is seen.
TAKE_SLUG = """
CREATE FUNCTION platform.take_slug(taker uuid, wanted text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM platform.former_slugs f
     WHERE f.slug = wanted AND (f.tenant_id = taker OR f.expires_at <= clock_timestamp());
    IF EXISTS (SELECT FROM platform.former_slugs f WHERE f.slug = wanted) THEN
        RAISE unique_violation
        USING MESSAGE = 'the slug was another tenant''s until lately', CONSTRAINT = 'uq_former_slugs_slug';
    END IF;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "former_slugs",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["platform.tenants.id"], name=op.f("fk_former_slugs_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_slugs")),
        sa.UniqueConstraint("slug", name=op.f("uq_former_slugs_slug")),
        schema="platform",
    )
    op.create_index(op.f("ix_former_slugs_tenant_id"), "former_slugs", ["tenant_id"], unique=False, schema="platform")
    op.execute(TAKE_SLUG)
    op.execute("REVOKE ALL ON FUNCTION platform.take_slug(uuid, text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION platform.take_slug(uuid, text) TO lh_app")


def downgrade() -> None:
    op.execute("DROP FUNCTION platform.take_slug(uuid, text)")
    op.drop_index(op.f("ix_former_slugs_tenant_id"), table_name="former_slugs", schema="platform")
    op.drop_table("former_slugs", schema="platform")
