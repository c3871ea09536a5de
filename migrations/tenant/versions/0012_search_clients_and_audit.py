"""search API clients and the audit log, and sort API clients by name

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

is_needed = False

CLIENTS = sa.text("to_tsvector('simple', name)")
_EVENT = "action || ' ' || coalesce(target_kind, '') || ' ' || coalesce(reason, '')"
EVENTS = sa.text(f"to_tsvector('simple', {_EVENT} || ' ' || translate({_EVENT}, '._', '  '))")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(op.f("ix_api_clients_name_id"), "api_clients", ["name", "id"], postgresql_concurrently=True)
        op.create_index(
            "ix_api_clients_search", "api_clients", [CLIENTS], postgresql_using="gin", postgresql_concurrently=True
        )
        op.create_index(
            "ix_audit_events_search", "audit_events", [EVENTS], postgresql_using="gin", postgresql_concurrently=True
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_audit_events_search", table_name="audit_events", postgresql_concurrently=True)
        op.drop_index("ix_api_clients_search", table_name="api_clients", postgresql_concurrently=True)
        op.drop_index(op.f("ix_api_clients_name_id"), table_name="api_clients", postgresql_concurrently=True)
