"""What every answer is sent with, so that browsers do with it what was meant and nothing else."""

import base64
import hashlib
from collections.abc import Iterable, Sequence

RawHeaders = Sequence[tuple[bytes, bytes]]

_DOCS = "/docs"
_EVERYWHERE: RawHeaders = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NOT_A_PAGE: RawHeaders = ((b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),)
_NOT_KEPT: RawHeaders = ((b"cache-control", b"no-store"),)


def content_security_policy(script: str) -> bytes:
    """Return the policy of a page whose one script in the page is this, and that has the rest from its own host."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()


class AnswerHeaders:
    """The headers that answers have beside their own."""

    def __init__(self, *, docs_script: str, hsts_seconds: int) -> None:
        tls = [(b"strict-transport-security", b"max-age=%d" % hsts_seconds)] if hsts_seconds else []
        page = (b"content-security-policy", content_security_policy(docs_script))
        self._of_docs = (*_EVERYWHERE, *tls, page)
        self._of_others = (*_EVERYWHERE, *tls, *_NOT_A_PAGE)
        self._not_kept = (*self._of_others, *_NOT_KEPT)

    def beside(self, own: Iterable[tuple[bytes, bytes]], path: str) -> RawHeaders:
        """Return what an answer of this address is sent with beside its own headers.

        It is kept by nobody, unless it says itself for how long it may be.
        """
        if path.startswith(_DOCS):
            return self._of_docs
        for name, _ in own:
            if name == b"cache-control":
                return self._of_others
        return self._not_kept
