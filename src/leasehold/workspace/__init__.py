"""The plane of the tenants: everything here lives in a tenant's schema and is reached through a bound session."""
