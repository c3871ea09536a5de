"""The catalogue of findings, as the documentation has it."""

from leasehold.tenancy.doctor.examination import CHECKS, NOT_CHECKED
from leasehold.tenancy.doctor.finding import Kind

_HEADING = """# What the doctor finds

`leasehold doctor` examines a live installation and changes nothing in it. A `problem` breaks something, or soon will,
and makes it end with status 1; a `warning` can be lived with knowingly, and does so only with `--strict`; a `hint` is
what could be had and is not asked for. Codes are stable. What is in braces differs from finding to finding. A check can
be asked for by name: `leasehold doctor urls`.

This page is written by `leasehold reference findings`.
"""
_TABLE = "| finding | is a | says | mend |\n|---|---|---|---|\n"


def findings_as_markdown() -> str:
    """Return the page: a section for each check, a row for each kind of finding."""
    sections = [f"## {check.name}\n\n{check.asks}\n\n{_TABLE}{_rows(check.kinds)}" for check in CHECKS]
    sections.append(f"## Any of them\n\n{_TABLE}{_rows((NOT_CHECKED,))}")
    return "\n".join([_HEADING, *sections])


def _rows(kinds: tuple[Kind, ...]) -> str:
    return "".join(f"| `{kind.code}` | {kind.severity} | {kind.says} | {kind.mend} |\n" for kind in kinds)
