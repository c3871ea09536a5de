"""What the rules about source code are made of: the files, and what their syntax trees say."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "leasehold"

Rule = Callable[[str], list[int]]
"""Takes the text of a file and returns the lines that break the rule."""

_STATEMENTS = frozenset({"select", "insert", "update", "delete"})
_SESSIONS = frozenset(
    {"AsyncSession", "PlatformSession", "Session", "TenantSession", "async_sessionmaker", "sessionmaker"}
)
_CONNECTORS = frozenset({"connect", "create_pool"})
_FACTORIES = frozenset({"Settings", "build_process", "create_app"})
_CACHES = frozenset({"cache", "cache_key_builder", "cache_manager", "response_cache_config"})
_BARE_IGNORE = re.compile(r"#\s*(?:type|pyright):\s*ignore(?!\[)")
_STAR = re.compile(r"\bSELECT\s+(?:\w+\.)?\*", re.IGNORECASE)


def python_files(folder: Path) -> list[Path]:
    """Return the Python files below a folder."""
    return sorted(folder.rglob("*.py"))


def breaches(rule: Rule, *, allowed: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Return `file:line` of everything in the package that breaks a rule where it is not allowed."""
    return [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in python_files(PACKAGE)
        if not allowed(path.relative_to(PACKAGE).as_posix())
        for line in rule(path.read_text())
    ]


def local_imports(text: str) -> list[int]:
    """Find imports inside functions."""
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return sorted(
        {
            inner.lineno
            for function in functions
            for inner in ast.walk(function)
            if isinstance(inner, ast.Import | ast.ImportFrom)
        }
    )


def statements_built(text: str) -> list[int]:
    """Find calls of SQLAlchemy's select, insert, update and delete, under whatever name they were imported."""
    tree = ast.parse(text)
    functions, modules = set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sqlalchemy":
            functions |= {alias.asname or alias.name for alias in node.names if alias.name in _STATEMENTS}
        elif isinstance(node, ast.Import):
            modules |= {
                (alias.asname or alias.name) for alias in node.names if alias.name.partition(".")[0] == "sqlalchemy"
            }
    return [
        call.lineno
        for call in _calls(tree)
        if (isinstance(call.func, ast.Name) and call.func.id in functions)
        or (
            isinstance(call.func, ast.Attribute)
            and call.func.attr in _STATEMENTS
            and ast.unparse(call.func.value) in modules
        )
    ]


def sessions_built(text: str) -> list[int]:
    """Find calls that make an ORM session or a maker of them."""
    return [call.lineno for call in _calls(ast.parse(text)) if _last_name(call.func) in _SESSIONS]


def driver_connections(text: str) -> list[int]:
    """Find connections and pools that are opened straight on the driver."""
    tree = ast.parse(text)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "asyncpg"
        for alias in node.names
        if alias.name in _CONNECTORS
    }
    return [
        call.lineno
        for call in _calls(tree)
        if (isinstance(call.func, ast.Name) and call.func.id in imported)
        or (
            isinstance(call.func, ast.Attribute)
            and call.func.attr in _CONNECTORS
            and ast.unparse(call.func.value) == "asyncpg"
        )
    ]


def environment_reads(text: str) -> list[int]:
    """Find uses of the process environment."""
    lines: list[int] = []
    for node in ast.walk(ast.parse(text)):
        names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) and node.module == "os" else ()
        is_read = isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.environb"}
        if is_read or {"environ", "getenv", "environb"} & set(names):
            lines.append(node.lineno)
    return lines


def made_at_import(text: str) -> list[int]:
    """Find settings, processes and apps that are made when a module is imported, defaults of arguments included."""
    lines: list[int] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Call) and _last_name(node.func) in _FACTORIES:
            lines.append(node.lineno)
        for child in _at_import(node):
            visit(child)

    visit(ast.parse(text))
    return lines


def prints(text: str) -> list[int]:
    """Find calls of print."""
    return [
        call.lineno for call in _calls(ast.parse(text)) if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]


def bare_ignores(text: str) -> list[int]:
    """Find comments that silence every complaint of the type checker instead of one."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.start[0] for token in tokens if token.type == tokenize.COMMENT and _BARE_IGNORE.search(token.string)]


def caches_used(text: str) -> list[int]:
    """Find arguments and imports that turn on a cache of Litestar or of Advanced Alchemy."""
    lines: list[int] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            lines += [node.lineno for keyword in node.keywords if keyword.arg in _CACHES]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {alias.name for alias in node.names}
            if node.module.startswith(("advanced_alchemy.cache", "litestar.config.response_cache")) or names & {
                "CacheConfig",
                "CacheManager",
                "ResponseCacheConfig",
            }:
                lines.append(node.lineno)
        elif isinstance(node, ast.Attribute | ast.Constant):
            value = node.attr if isinstance(node, ast.Attribute) else node.value
            if value == "cache_manager":
                lines.append(node.lineno)
    return lines


def star_selects(text: str) -> list[int]:
    """Find SQL that reads whatever columns there are."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STAR.search(node.value)
    ]


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is evaluated when the node is: of a function only its decorators, defaults and annotations."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from node.decorator_list
        yield node.args
    elif isinstance(node, ast.Lambda):
        yield node.args
    else:
        yield from ast.iter_child_nodes(node)


def unwatched_connections(text: str) -> list[int]:
    """Find connections and pools on the driver that would wait for ever for an end that is gone."""
    return [
        call.lineno
        for call in _calls(ast.parse(text))
        if ast.unparse(call.func) in {"asyncpg.connect", "asyncpg.create_pool"}
        and not {keyword.arg for keyword in call.keywords} & {"connection_class"}
    ]
