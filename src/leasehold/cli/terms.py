"""How plans and what was decided for a tenant are said and shown at the command line: `items=1000`, `import=off`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click
import msgspec

T = TypeVar("T")
_UNSAID = "default"
"""Says nothing any more: as below."""
_SWITCH = {"on": True, "off": False}

limit_option = click.option("--limit", "limits", multiple=True, help="items=1000, or items=default for no limit.")
feature_option = click.option("--feature", "features", multiple=True, help="bulk_import=on, off or default.")
rate_option = click.option("--rate-limit", "rates", multiple=True, help="tenant=100/10s,5000/1h, off or default.")


def terms_of(
    *, limits: Iterable[str] = (), features: Iterable[str] = (), rates: Iterable[str] = (), **more: Any
) -> dict[str, Any]:
    """Return what the texts of a command say, as a patch of terms has it.

    Raises:
        click.BadParameter: a text says nothing.
    """
    said = {
        "limits": _pairs(limits, _amount),
        "features": _pairs(features, _switch),
        "rate_limits": _pairs(rates, str),
    }
    return {name: pairs for name, pairs in said.items() if pairs} | more


def converted_terms(values: Mapping[str, Any], kind: type[T]) -> T:
    """Return a patch of terms as the API would take it.

    Raises:
        click.BadParameter: it would not.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise click.BadParameter(str(error)) from error


def said_terms(limits: Mapping[str, Any], features: Mapping[str, bool], rate_limits: Mapping[str, Any]) -> str:
    """Return terms on one line, as they are said; nothing of what is None."""
    said = [f"{name}={value}" for name, value in {**limits, **rate_limits}.items() if value is not None]
    said += [f"{name}={'on' if is_on else 'off'}" for name, is_on in features.items()]
    return "  ".join(said) or "-"


def _pairs(texts: Iterable[str], value_of: Callable[[str], object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise click.BadParameter(f"{text} is not like name=value")
        found[name] = None if value == _UNSAID else value_of(value)
    return found


def _amount(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise click.BadParameter(f"{text} is neither a number nor default")
    return int(text)


def _switch(text: str) -> bool:
    if text not in _SWITCH:
        raise click.BadParameter(f"{text} is none of on, off and default")
    return _SWITCH[text]
