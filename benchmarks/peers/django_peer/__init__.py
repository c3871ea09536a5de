"""django-tenants as its guide shows it: its middleware finds the tenant by the host, and sets the path.

Its tenants are Leasehold's: the same schemas and tables, with two tables of its own in `public` that name them.
"""
