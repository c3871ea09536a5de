"""Restores: tenants that are put back from backups, and drills that prove that they could be."""
