"""Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a request that is sent again is not carried out again.

What both planes share: the key, the columns, the queries and the rules. Each plane has a table of its own.
"""
