"""The structure that the code keeps: floors, no circles, one home for each public name."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import latente

ROOT = Path(latente.__file__).parent

FLOORS = [
    ["__init__", "__main__"],
    ["cli", "explorer"],
    ["recipes", "study"],
    ["figures", "anomaly", "search", "codec", "restoration", "imputation", "latent", "arrow"],
    ["estimator"],
    ["persistence", "export", "evaluation", "summary", "fitted", "build"],
    ["training"],
    ["families"],
    ["model", "networks", "bottlenecks", "corruptions", "losses", "optimizers", "schedules"],
    ["datasets", "data"],
    ["storage", "parts", "metrics", "errors", "version", "shares", "launch"],
]
"""From the top down; rooms of one floor may use each other."""


@cache
def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in ROOT.rglob("*.py")
    }


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(name: str, path: Path, *, typing: bool = True) -> set[str]:
    """Return the modules of the package that a module imports, for types too where asked."""
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    package = [part for part in package if part != "__init__"]
    found = set()
    tree = tree_of(path)
    types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and (typing or node not in types):
            base = package[: len(package) - node.level + 1]
            home = ".".join([*base, *(node.module.split(".") if node.module else [])])
            inner = {f"{home}.{alias.name}".lstrip(".") for alias in node.names}
            found |= {each if each in modules() else home for each in inner}
    return found


def floor(name: str) -> int:
    room = name.split(".")[0]
    found = [i for i, rooms in enumerate(FLOORS) if room in rooms]
    assert found, f"{name} is on no floor: give {room} a place in FLOORS"
    return found[0]


def test_imports_point_downward() -> None:
    upward = [
        f"{name} imports {other}"
        for name, path in modules().items()
        for other in imports(name, path)
        if other and floor(other) < floor(name)
    ]
    rootward = [name for name, path in modules().items() if "" in imports(name, path)]
    assert not upward
    assert not [name for name in rootward if name not in ("__init__", "__main__")]


def test_imports_make_no_circle() -> None:
    found = modules().items()
    edges = {name: imports(name, path, typing=False) for name, path in found if name != "__init__"}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in edges.get(name, ()):
                visit(other, (*way, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def test_a_public_name_has_one_home() -> None:
    homes: dict[str, list[str]] = {}
    for name, path in modules().items():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(name)
    several = {name: found for name, found in homes.items() if len(found) > 1}
    assert not {name: found for name, found in several.items() if name in latente.__all__}
    classes = {name: found for name, found in several.items() if name[0].isupper()}
    assert not classes
