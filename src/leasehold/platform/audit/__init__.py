"""The audit log of the platform, for who reads it. It is written by the services whose acts it tells."""
