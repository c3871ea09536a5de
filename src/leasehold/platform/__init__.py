"""The plane of the platform: everything here lives in the shared schema and knows tenants only by reference."""
