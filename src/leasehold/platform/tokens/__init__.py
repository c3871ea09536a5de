"""Opaque tokens of admins, for scripts."""
