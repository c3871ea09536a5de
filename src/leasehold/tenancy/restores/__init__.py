"""Restores: one tenant is put back to an earlier state, in its place or beside it, and what it had is kept meanwhile.

To read it in order: refusals, homes, holders, moving, restoring.
"""
