"""The API clients of a tenant: programs that get tokens by client id and secret."""
