"""search the audit log

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_EVENT = "action || ' ' || coalesce(target_kind, '') || ' ' || coalesce(reason, '')"
WORDS = sa.text(f"to_tsvector('simple', {_EVENT} || ' ' || translate({_EVENT}, '._', '  '))")

# Not CONCURRENTLY: the whole upgrade is one transaction. Acts of admins wait meanwhile, about four seconds for each
# million of events; no request of a tenant writes here.


def upgrade() -> None:
    op.create_index("ix_audit_events_search", "audit_events", [WORDS], schema="platform", postgresql_using="gin")


def downgrade() -> None:
    op.drop_index("ix_audit_events_search", table_name="audit_events", schema="platform")
