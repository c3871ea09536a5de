"""How users and API clients of a tenant prove who they are and get access tokens."""
