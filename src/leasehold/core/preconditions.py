"""Entity tags, and what a client makes its write depend on (RFC 9110, sections 8.8.3 and 13).

A resource takes part when its struct names in `tagged_by` the fields that together change whenever somebody changes it.
Then an answer that is this one struct has its ETag, and a route that takes `precondition` can be held to it.

What changes of a resource without anybody changing it (when it was last used, to which revision it was migrated, what
follows from another resource) its struct names in `noted_by`. It has a part of its own in the tag, behind a dot. Who
asks by If-None-Match for what is new is told of it: 304 never hides a representation that differs. For If-Match the
part before the dot counts alone: otherwise a client that gets tokens all day long could never be changed, and nobody
undoes by it what they have not seen. So both together name all fields, but where a version stands for the others.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from leasehold.core.errors import Problem

_OPAQUE = r'"[!#-~\x80-\xff]*"'
_LIST = re.compile(rf"[ \t,]*(?:(?:W/)?{_OPAQUE}[ \t]*(?:,[ \t,]*|$))+")
_TAG = re.compile(rf"(W/)?({_OPAQUE})")
_SENT = '(?:W/)?"[!#-~]*"'
IF_MATCH_PATTERN = rf"^(?:\*|{_SENT}(?:, ?{_SENT})*)$"
"""What the header If-Match looks like, for who describes it; more spaces and commas are taken, too."""
_encode = msgspec.msgpack.Encoder(order="deterministic").encode  # a JSON object has its members in any order


class InvalidIfMatch(Problem):
    """The header If-Match must be an entity tag in double quotes, several with commas between them, or an asterisk."""

    type = "invalid-if-match"
    title = "Invalid If-Match"


class PreconditionFailed(Problem):
    """It was changed since; get it again, and decide anew."""

    status = 412
    type = "precondition-failed"
    title = "Precondition failed"


class PreconditionRequired(Problem):
    """This tenant wants to know what is changed: send the ETag of what you have seen in the header If-Match."""

    status = 428
    type = "precondition-required"
    title = "Precondition required"


def entity_tag(row: object, tagged_by: Sequence[str], noted_by: Sequence[str] = ()) -> str:
    """Return the strong entity tag of a row, as the header ETag has it.

    It is a digest, so that nobody counts on its form, and depends on the moment of the write too: a version number
    comes again where a backup was loaded, and code that knows no versions writes without one.
    """
    state = _digest(row, tagged_by)
    return f'"{state}.{_digest(row, noted_by)}"' if noted_by else f'"{state}"'


def tag_of(shown: object) -> str | None:
    """Return the entity tag of what is answered, None for what has none."""
    tagged_by: Sequence[str] | None = getattr(shown, "tagged_by", None)
    return entity_tag(shown, tagged_by, getattr(shown, "noted_by", ())) if tagged_by else None


def is_known(if_none_match: str, tag: str) -> bool:
    """Tell whether a client that sends this If-None-Match has what the tag stands for; weak tags count here, too."""
    return if_none_match.strip() == "*" or any(found[2] == tag for found in _TAG.finditer(if_none_match))


@dataclass(frozen=True, slots=True)
class Precondition:
    """What the header If-Match of a request demands; nothing where there is none."""

    if_match: str | None = None

    def demand(self, row: Any, tagged_by: Sequence[str]) -> None:
        """Pass if the row, which nobody else changes meanwhile, is one of those that the client has seen.

        Weak tags match nothing (RFC 9110, section 13.1.1).

        Raises:
            InvalidIfMatch: the header cannot be read.
            PreconditionFailed: the row is another by now.
        """
        if self.if_match is None or self.if_match.strip() == "*":
            return
        if not _LIST.fullmatch(self.if_match):
            raise InvalidIfMatch
        seen = {opaque.strip('"').partition(".")[0] for weak, opaque in _TAG.findall(self.if_match) if not weak}
        if _digest(row, tagged_by) not in seen:
            raise PreconditionFailed


ANYTHING = Precondition("*")
"""The precondition of who does not care, and says so: no policy of a tenant keeps the operator from a change."""


def _digest(row: object, names: Sequence[str]) -> str:
    values = _encode([getattr(row, name) for name in names])
    return blake2b(values, digest_size=12).hexdigest()
