"""Who waits for whom in PostgreSQL: how a test knows that a request has come to where it is held up."""

WAITING = """
WITH RECURSIVE waiting (pid) AS (
    SELECT pg_backend_pid()
     UNION
    SELECT l.pid FROM pg_locks l JOIN waiting w ON w.pid = ANY (pg_blocking_pids(l.pid))
     WHERE NOT l.granted AND l.mode <> 'AccessShareLock' AND l.locktype <> 'object'
)
SELECT count(*) - 1 FROM waiting
"""
"""How many wait for the connection that asks, directly or behind each other; who only reads does not count.

Nor does who waits for a role. All databases of a server share them, so from the GRANT of the group role on a test of
another worker that provisions waits here, too.

Not from pg_stat_activity: in a transaction it shows the same picture for ever.
"""

WAITED_FOR = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass)"
"""Whether anybody waits for a table, which is named as SQL does."""
