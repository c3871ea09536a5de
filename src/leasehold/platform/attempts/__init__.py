"""Failed attempts to log in as an admin."""
