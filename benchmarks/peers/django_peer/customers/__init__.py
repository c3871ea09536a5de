"""Shared: whom the schemas belong to."""
