"""What ``lodge host check`` looks at, read from the calls that report it: nothing is tried."""

import ast
from collections.abc import Iterator, Mapping
from importlib.resources import files

from generator.markdown import code, page, table
from lodge.services.hosts.programs import PROGRAMS

__all__ = ["capabilities_page", "capability_costs"]

_ABOUT = """
`lodge host check` finds each of these by trying, never by looking at a version, and leaves nothing
behind. It tells how to get what is missing. Without the *required* ones no VM runs.
"""

_MODULES = (
    ("lodge.drivers.instance.qemu", "capabilities.py"),
    ("lodge.services.hosts", "machine.py"),
    ("lodge.services.hosts", "networking.py"),
    ("lodge.services.hosts", "storing.py"),
)

_COST_PLACE: Mapping[str, int | None] = {
    "Capability": None,
    "degraded": None,
    "missing": None,
    "ok": None,
    "_file": 2,
    "_vhost": 1,
    "_Trial": 3,
}
"""The calls that report a capability, and where those without ``cost=`` take what it costs."""


def capabilities_page() -> str:
    """One table."""
    rows = [
        (code(name), "yes" if is_required else "", cost)
        for name, (cost, is_required) in sorted(capability_costs().items())
    ]
    return page("What the host can do", _ABOUT, table(("name", "required", "without it"), rows))


def capability_costs() -> Mapping[str, tuple[str, bool]]:
    """Return what is lost without each capability, and whether Lodge runs nothing without it."""
    found = {program.name: (program.cost, program.is_required) for program in PROGRAMS}
    for package, file in _MODULES:
        module = ast.parse((files(package) / file).read_text(encoding="utf-8"))
        texts = dict(_texts(module))
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                _add(found, node, node.func.id, texts)
    return found


def _texts(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Find names that are given plain text anywhere in a module."""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    yield target.id, node.value.value


def _add(
    found: dict[str, tuple[str, bool]], call: ast.Call, callee: str, texts: Mapping[str, str]
) -> None:
    if callee not in _COST_PLACE:
        return
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    name = _text(named.get("name") or (call.args[0] if call.args else None), {})
    if not name:
        return
    place = _COST_PLACE[callee]
    cost = _text(call.args[place] if place is not None else named.get("cost"), texts)
    required = named.get("is_required")
    is_required = isinstance(required, ast.Constant) and required.value is True
    known_cost, was_required = found.get(name, ("", False))
    found[name] = (known_cost or cost, was_required or is_required)


def _text(node: ast.expr | None, texts: Mapping[str, str]) -> str:
    """Return the text an expression stands for; of two possible ones the one that says more."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name):
        return texts.get(node.id, "")
    if isinstance(node, ast.IfExp):
        return max(_text(node.body, texts), _text(node.orelse, texts), key=len)
    return ""
