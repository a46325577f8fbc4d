"""The generated parts of ``docs/conformance.md``, read from the source of the kit without running it."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

KIT = Path(__file__).parent


def checks() -> str:
    """Return all checks as markdown, a section a module: what is given, the promise it shows, what it needs."""
    parts: list[str] = []
    total = 0
    for path in sorted(KIT.glob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        found = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        total += len(found)
        about = _plain((ast.get_docstring(module) or "").partition("\n\n")[0])
        parts += ["", f"### {path.stem.removeprefix('test_').capitalize()}", "", about, ""]
        parts += ["| check | promise |", "|---|---|"]
        parts += [f"| {_sentence(check)}{_needs(check)} | {_first_line(check)} |" for check in found]
    return "\n".join([f"{total} checks; many of them run for several cases.", *parts])


def subject() -> str:
    """Return the members of ``Subject`` as a table."""
    return "\n".join(["| member | purpose |", "|---|---|", *(_members("Subject"))])


def capabilities() -> str:
    """Return the capabilities as a table."""
    rows = [f"| `{name}` | {text} |" for name, text in _constants("Capability")]
    return "\n".join(["| capability | meaning |", "|---|---|", *rows])


def _members(name: str) -> list[str]:
    functions = [node for node in _class(name).body if isinstance(node, ast.FunctionDef)]
    return [f"| `{node.name}{_arguments(node)}` | {_first_line(node)} |" for node in functions]


def _constants(name: str) -> list[tuple[str, str]]:
    body = _class(name).body
    found = []
    for node, following in pairwise(body):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(following, ast.Expr):
            assert isinstance(following.value, ast.Constant)
            found.append((node.targets[0].id, _plain(str(following.value.value))))
    return found


def _class(name: str) -> ast.ClassDef:
    module = ast.parse((KIT / "subject.py").read_text(encoding="utf-8"))
    return next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == name)


def _arguments(node: ast.FunctionDef) -> str:
    if node.decorator_list:
        return ""
    names = [argument.arg for argument in [*node.args.args, *node.args.kwonlyargs] if argument.arg != "self"]
    return f"({', '.join(names)})"


def _sentence(node: ast.FunctionDef) -> str:
    return node.name.removeprefix("test_").replace("_", " ")


def _needs(node: ast.FunctionDef) -> str:
    calls = [one for one in node.decorator_list if isinstance(one, ast.Call) and ast.unparse(one.func) == "needs"]
    names = [ast.unparse(argument).rpartition(".")[2] for call in calls for argument in call.args]
    return f" (needs {', '.join(f'`{name}`' for name in names)})" if names else ""


def _first_line(node: ast.FunctionDef) -> str:
    return _plain((ast.get_docstring(node) or "").partition("\n")[0])


def _plain(text: str) -> str:
    for role in (":class:", ":meth:", ":attr:"):
        text = text.replace(role, "")
    return " ".join(text.replace("``", "`").split())
