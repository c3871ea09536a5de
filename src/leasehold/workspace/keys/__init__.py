"""The API keys of a tenant: long-lived secrets that scripts send with each request, in place of an access token."""
