"""Idempotency keys of a tenant's users and API clients."""
