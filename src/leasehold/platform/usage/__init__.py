"""What tenants use: what they asked of the processes, and what they keep in the database."""
