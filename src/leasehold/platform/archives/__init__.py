"""Archives of tenants: what leaves the installation, and what comes back to it."""
