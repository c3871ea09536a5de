"""Leasehold: a multi-tenant SaaS backend in which every tenant lives in a PostgreSQL schema of its own."""
