"""The states of a tenant, from its deletion to the end."""
