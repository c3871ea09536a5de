"""quotas

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Each place of the arrays is one window of one quota; the places of one request stand together and have one number.
# Rows are locked in the order of their ids, lest two calls wait for each other; time is read when they are held, so it
# cannot go back between two calls. A quota that lies more than a minute further ahead than it can was counted by a clock
# that has been set back since: it is whole, or its owner would be shut out for as long. A clock that is put right by less
# changes nothing, or one that goes back by a millisecond would make whole what has just been used up.
TAKE_FROM_QUOTAS = """
CREATE FUNCTION platform.take_from_quotas(
    request_numbers bigint[], quota_ids uuid[], intervals bigint[], capacities bigint[], at_ns bigint,
    OUT granted boolean[], OUT ahead bigint[]
)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    slots bigint := cardinality(quota_ids);
    ids uuid[];
    places bigint[];
    whole_at bigint[];
    now_ns bigint;
    used bigint;
    has_room boolean;
    first bigint := 1;
    last bigint;
BEGIN
    SELECT array_agg(d.id ORDER BY d.id) INTO ids FROM (SELECT DISTINCT unnest(quota_ids) AS id) d;
    SELECT array_agg(array_position(ids, w.id) ORDER BY w.slot) INTO places
      FROM unnest(quota_ids) WITH ORDINALITY AS w(id, slot);
    LOOP
        IF (SELECT count(*) FROM platform.quotas q WHERE q.id = ANY (ids)) < cardinality(ids) THEN
            INSERT INTO platform.quotas (id, whole_at_ns)
            SELECT w.id, 0 FROM unnest(ids) AS w(id) ORDER BY w.id ON CONFLICT DO NOTHING;
        END IF;
        SELECT array_agg(held.whole_at_ns ORDER BY held.id) INTO whole_at
          FROM (SELECT q.id, q.whole_at_ns FROM platform.quotas q WHERE q.id = ANY (ids) ORDER BY q.id FOR UPDATE) held;
        EXIT WHEN cardinality(whole_at) = cardinality(ids);
    END LOOP;
    now_ns := coalesce(at_ns, (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint);
    WHILE first <= slots LOOP
        last := first;
        has_room := true;
        LOOP
            used := greatest(whole_at[places[last]] - now_ns, 0);
            IF used > capacities[last] + 60000000000 THEN
                used := 0;
            END IF;
            used := least(used, capacities[last]);
            ahead[last] := used;
            has_room := has_room AND used + intervals[last] <= capacities[last];
            EXIT WHEN last = slots OR request_numbers[last + 1] <> request_numbers[first];
            last := last + 1;
        END LOOP;
        FOR slot IN first..last LOOP
            granted[slot] := has_room;
            IF has_room THEN
                ahead[slot] := ahead[slot] + intervals[slot];
                whole_at[places[slot]] := now_ns + ahead[slot];
            END IF;
        END LOOP;
        first := last + 1;
    END LOOP;
    UPDATE platform.quotas q SET whole_at_ns = w.whole_at_ns
      FROM unnest(ids, whole_at) AS w(id, whole_at_ns)
     WHERE q.id = w.id AND q.whole_at_ns <> w.whole_at_ns;
END
$$
"""
FORGET_WHOLE_QUOTAS = """
CREATE FUNCTION platform.forget_whole_quotas(at_most bigint) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    WITH whole AS (
        SELECT q.id FROM platform.quotas q
         WHERE q.whole_at_ns < extract(epoch FROM clock_timestamp()) * 1000000000
         LIMIT at_most FOR UPDATE SKIP LOCKED
    ), gone AS (DELETE FROM platform.quotas q USING whole WHERE q.id = whole.id RETURNING q.id)
    SELECT count(*) FROM gone
$$
"""


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("whole_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotas")),
        schema="platform",
        prefixes=["UNLOGGED"],
    )
    # A row changes with every request of its owner: in place, as long as its page has room.
    op.execute("ALTER TABLE platform.quotas SET (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.5)")
    op.execute(TAKE_FROM_QUOTAS)
    op.execute(FORGET_WHOLE_QUOTAS)


def downgrade() -> None:
    op.execute("DROP FUNCTION platform.forget_whole_quotas(bigint)")
    op.execute("DROP FUNCTION platform.take_from_quotas(bigint[], uuid[], bigint[], bigint[], bigint)")
    op.drop_table("quotas", schema="platform")
