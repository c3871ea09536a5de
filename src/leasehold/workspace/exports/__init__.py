"""All that a tenant has, in an open form, for the tenant itself: made by a worker, fetched by a signed link."""
