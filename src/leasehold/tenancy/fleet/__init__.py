"""Migrations of all tenant schemas: Alembic renders each path once, and the rendering is replayed in every schema.

To read it in order: history, segments, recording, rendering, limits, replay, fingerprint, reference, lease, ledger,
plan, waves, run; then calls, drift and preview.
"""
