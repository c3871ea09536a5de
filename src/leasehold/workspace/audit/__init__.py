"""The audit log of a tenant, for who reads it. It is written by the services whose acts it tells."""
