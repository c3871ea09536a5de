"""Copies of tenants, which workers make."""
