"""The building's statics: imports point only downward, nothing costly is loaded before its time."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import latente

PACKAGE = Path(latente.__file__).parent

FLOORS = (
    {"cli"},
    {"report"},
    {"apps", "latent"},
    {
        "estimator",
        "persistence",
        "export",
        "snapshot",
        "fitted",
        "inference",
        "assembly",
        "choices",
        "fitting",
        "keywords",
    },
    {"training"},
    {"model"},
    {"corruptions", "data", "datasets"},
    {"parts", "metrics", "similarity", "container", "packing", "files", "errors", "version"},
)
"""From the roof down; a module belongs where the first word of its name, below the root, stands."""

DOOR = {"", "__main__"}
"""The package's front door opens on every floor, and nothing inside goes out through it."""

HEAVY = {"torch", "sklearn", "scipy", "matplotlib", "pandas", "polars", "pyarrow", "PIL", "onnx"}

LIMIT = 400


@cache
def modules() -> dict[str, Path]:
    """Every module by its name below the package: ``"model.dense"``, and ``""`` for the root."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text("utf-8"))


def statements(
    node: ast.AST, *, deferred: bool, types: bool
) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports below a node, those in functions and those for type checkers only if wanted."""
    for child in ast.iter_child_nodes(node):
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif (deferred or not function) and (types or not checking):
            yield from statements(child, deferred=deferred, types=types)


def inner(name: str, *, deferred: bool = True, types: bool = True) -> set[str]:
    """The package's modules that a module imports, with the packages that hold them."""
    path = modules()[name]
    here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for statement in statements(tree(name), deferred=deferred, types=types):
        if isinstance(statement, ast.ImportFrom) and statement.level:
            base = [part for part in here if part][: len(here) - statement.level + 1]
            target = ".".join([*base, *filter(None, [statement.module])])
            for alias in statement.names:
                deeper = f"{target}.{alias.name}".lstrip(".")
                found.add(deeper if deeper in modules() else target)
    return found - {name}


def outer(name: str, *, deferred: bool = True, types: bool = True) -> set[str]:
    """The other packages that a module imports, by their first word."""
    found = set()
    for statement in statements(tree(name), deferred=deferred, types=types):
        if isinstance(statement, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in statement.names}
        elif not statement.level:
            found.add(str(statement.module).partition(".")[0])
    return found


def floor(name: str) -> int:
    for number, rooms in enumerate(FLOORS):
        if name.partition(".")[0] in rooms:
            return number
    raise AssertionError(f"{name} stands on no floor; add it to FLOORS")


def with_packages(names: set[str]) -> set[str]:
    """Names with the packages above them: Python runs these first."""
    return {".".join(name.split(".")[:n]) for name in names for n in range(1, name.count(".") + 2)}


def loaded_by(start: str) -> set[str]:
    """Every module of the package that loading one of them loads."""
    found: set[str] = set()
    waiting = with_packages({start})
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= with_packages(inner(name, deferred=False, types=False)) & set(modules()) - found
    return found


INSIDE = sorted(set(modules()) - DOOR)


def test_the_parser_sees_imports() -> None:
    assert "parts" in inner("model.losses")
    assert "errors" in inner("parts")
    assert "torch" in outer("training.optimizers")
    assert "torch" not in outer("training.optimizers", deferred=False, types=False)


@pytest.mark.parametrize("name", INSIDE)
def test_imports_point_downward(name: str) -> None:
    above = {other for other in inner(name) - DOOR if floor(other) < floor(name)}
    assert not above, f"{name} imports {sorted(above)}, which stand above it"


@pytest.mark.parametrize("name", INSIDE)
def test_nothing_imports_the_package_root(name: str) -> None:
    assert "" not in inner(name), f"{name} imports the package root; import the module itself"
    assert "latente" not in outer(name), f"{name} imports latente by name; import relatively"


def test_there_is_no_cycle() -> None:
    """Not even one that functions close; the types in annotations alone may point anywhere."""
    graph = {name: inner(name, types=False) - DOOR for name in INSIDE}
    size = len(graph) + 1
    while len(graph) < size:
        size, needed = len(graph), set().union(*graph.values())
        graph = {
            name: needs & set(graph)
            for name, needs in graph.items()
            if needs & set(graph) and name in needed
        }
    assert not graph, f"imports run in a circle: {graph}"


@pytest.mark.parametrize("name", INSIDE)
def test_modules_can_be_read_in_one_sitting(name: str) -> None:
    assert len(modules()[name].read_text("utf-8").splitlines()) < LIMIT


def test_help_imports_nothing_heavy() -> None:
    for name in sorted(loaded_by("cli.main")):
        heavy = outer(name, deferred=False, types=False) & HEAVY
        assert not heavy, f"`latente --help` loads {name}, which imports {sorted(heavy)}"


def test_parts_import_nothing_heavy() -> None:
    for name in ("corruptions", "model.networks", "model.bottlenecks", "model.losses"):
        for each in sorted(loaded_by(name)):
            assert not outer(each, deferred=False, types=False) & HEAVY, f"{name} loads {each}"


def modules_after(code: str) -> set[str]:
    """The modules loaded in a fresh Python after some code has run."""
    code += "\nimport sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


def test_import_loads_nothing_heavy() -> None:
    assert not modules_after("import latente") & (HEAVY | {"numpy", "typer", "rich"})


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
from latente.cli.main import main
sys.argv = ["latente", "--help"]
try:
    main()
except SystemExit:
    pass"""
    assert not modules_after(code) & HEAVY


def test_import_is_quick() -> None:
    code = "import time; t = time.process_time(); import latente; print(time.process_time() - t)"
    command = [sys.executable, "-c", code]
    seconds = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(seconds) < 0.03
