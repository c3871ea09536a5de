"""The catalogue of problem types: what each means, at the address that `type` names (RFC 9457, section 3.1.1).

It is made of the error classes themselves. A class that declares a `type` says what it means in its docstring; those
that inherit it say it in other words.
"""

import html
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from litestar import MediaType, Response, Router, get
from litestar.params import FromPath

from leasehold.core.errors import NotFound, Problem
from leasehold.http.marks import IS_PUBLIC

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }}
code {{ background: #8882; padding: .1em .3em; border-radius: .2em; }}
td {{ padding: .2rem 1rem .2rem 0; vertical-align: top; }}
:root {{ color-scheme: light dark; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


@dataclass(frozen=True, slots=True, order=True)
class ProblemType:
    """What all errors of one type have in common."""

    status: int
    name: str
    title: str
    detail: str

    @classmethod
    def of(cls, problem: type[Problem]) -> "ProblemType":
        """Return the type that an error class declares."""
        return cls(
            problem.status, problem.type, problem.title, " ".join(inspect.cleandoc(problem.__doc__ or "").split())
        )


def catalogue() -> list[ProblemType]:
    """Return all types that the product can answer, by status and name."""
    ours = (problem for problem in problem_classes() if problem.__module__.startswith("leasehold."))
    return sorted({ProblemType.of(problem) for problem in ours if "type" in vars(problem)})


def problem_classes(root: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """Yield an error class and all that inherit from it."""
    yield root
    for problem in root.__subclasses__():
        yield from problem_classes(problem)


def catalogue_as_markdown() -> str:
    """Return the catalogue as it stands in the documentation."""
    rows = [f"| {one.status} | `{one.name}` | {one.title} | {_in_table(one.detail)} |" for one in catalogue()]
    return "\n".join([_HEADING, "| status | type | title | means |", "|---|---|---|---|", *rows, ""])


@get("/", media_type=MediaType.HTML, include_in_schema=False, opt={IS_PUBLIC: True}, sync_to_thread=False)
def list_problems() -> str:
    """Return the catalogue as a page."""
    rows = "".join(
        f'<tr><td>{one.status}</td><td><a href="/docs/problems/{one.name}"><code>{one.name}</code></a></td>'
        f"<td>{html.escape(one.title)}</td></tr>\n"
        for one in catalogue()
    )
    return _PAGE.format(title="Problem types", body=f"<h1>Problem types</h1>\n<table>\n{rows}</table>")


@get("/{name:str}", media_type=MediaType.HTML, include_in_schema=False, opt={IS_PUBLIC: True}, sync_to_thread=False)
def show_problem(name: FromPath[str]) -> Response[str]:
    """Return what a problem type means."""
    found = next((one for one in catalogue() if one.name == name), None)
    if found is None:
        raise NotFound
    body = (
        f"<h1>{html.escape(found.title)}</h1>\n"
        f"<p><code>/docs/problems/{found.name}</code>, {found.status} {HTTPStatus(found.status).phrase}</p>\n"
        f"<p>{html.escape(found.detail)}</p>\n"
        "<p>What is in braces differs from answer to answer; <code>detail</code> and <code>errors</code> say it.</p>\n"
        '<p><a href="/docs/problems">All problem types</a></p>'
    )
    return Response(_PAGE.format(title=html.escape(found.title), body=body), media_type=MediaType.HTML)


router = Router("/docs/problems", route_handlers=[list_problems, show_problem])


def _in_table(text: str) -> str:
    return text.replace("|", "\\|")


_HEADING = """# Problem types

Every error is a problem document (RFC 9457), but for those of the OAuth endpoints, which RFC 6749 describes. Its `type`
is `/docs/problems/` and one of these names; the server answers a page at that address. Types are stable: one that
exists keeps its name, status and meaning. What is in braces differs from answer to answer.

A 401 comes with `WWW-Authenticate: Bearer`; a 429, a 503, and a 409 for an idempotency key in use, with `Retry-After`.

This page is written by `leasehold reference problems`.
"""
