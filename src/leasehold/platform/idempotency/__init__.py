"""Idempotency keys of the platform's admins."""
