"""Migrations of all tenant schemas: Alembic renders each path once, and the rendering is replayed in every schema.

To read it in order: history, rendering, replay, fingerprint, reference, run.
"""
