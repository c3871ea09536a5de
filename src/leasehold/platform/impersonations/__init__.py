"""Admins who act in a tenant for a few minutes, with scopes and a reason that both audit logs keep."""
