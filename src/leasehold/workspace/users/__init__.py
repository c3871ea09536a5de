"""The users of a tenant."""
