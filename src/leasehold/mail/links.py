"""The links in mails: they lead to the pages of a tenant's own front end."""


class Links:
    """Makes links from the address at which each tenant's front end is found."""

    def __init__(self, app_url: str) -> None:
        self._app_url = app_url.rstrip("/")

    def to(self, slug: str, page: str, *, secret: str) -> str:
        """Return a link to a page of a tenant. The secret is behind the #, so that no server on the way logs it."""
        return f"{self._app_url.format(slug=slug)}/{page}#{secret}"
