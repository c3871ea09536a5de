"""Writes the skeleton of a resource into this checkout. It is a tool of the repository, and no part of the product."""
