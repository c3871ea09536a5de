"""What a route says of itself in its decorator, for the gates to read."""

CREDENTIAL_ENDPOINT = "is_credential_endpoint"
"""Marks a route that hands out credentials: it takes the tenant from host or header alone."""

SIGNED_LINK = "signed_link"
"""Marks a route that is asked for by a signed link, which names the tenant and stands in place of a token."""

TAKES_FORM = "takes_form"
"""Marks a route whose body is a form, as the OAuth standards want it."""

ONLY_READS = "only_reads"
"""Marks a route that changes nothing although it is no GET: it is served where a tenant can only be read."""

IS_PUBLIC = "is_public"
"""Marks a route that anybody may call, and that touches no tenant's data."""

MERGE_PATCH = "application/merge-patch+json"
"""How the body of a PATCH of one resource may call itself (RFC 7396), beside JSON."""

SCOPES = "scopes"
"""Names the scopes that a route demands; an empty tuple is any valid token."""

PROBLEMS = "problems"
"""Names the problems that a route may answer besides those that follow from what it is."""

CLIENT_TIMEOUT_S = "client_timeout_s"
"""Names the seconds in which the body of a request must have arrived, or the next part of an import."""

LISTS = "lists"
"""Names the list that a route shows, with what may be asked of it."""

FEATURE = "feature"
"""Names the feature that a tenant must have for a route to be open to it."""
