"""Read a YAML document from a person: with its place when it is broken, and with limits."""

from typing import Any

import yaml

from lodge.services.seeds.errors import CloudInitInvalidError

__all__ = ["read_yaml"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 60
_MAX_EVENTS = 100_000
_OPENING = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_CLOSING = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


def read_yaml(text: str, *, where: str) -> Any:
    """Read one document.

    Raises:
        CloudInitInvalidError: broken (with line and column), absurdly deep or large, or one key
            stands twice at the top, where cloud-init would silently take the last.
    """
    try:
        _check_shape(text, where)
        node = yaml.compose(text, Loader=_LOADER)
        _check_keys(node, where)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 -- it is a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise _broken(problem, where, mark) from None
    except yaml.YAMLError as error:
        raise _broken(str(error).splitlines()[0], where, None) from None
    except (ValueError, RecursionError) as error:
        raise _broken(f"a value cannot be read ({error})", where, None) from None


def _broken(problem: str, where: str, mark: Any) -> CloudInitInvalidError:
    if mark is None:
        return CloudInitInvalidError(f"{where} is not valid YAML: {problem}", where=where)
    line, column = mark.line + 1, mark.column + 1
    return CloudInitInvalidError(
        f"{where} is not valid YAML: line {line}, column {column}: {problem}",
        where=where,
        line=line,
        column=column,
    )


def _check_shape(text: str, where: str) -> None:
    """Bound depth and number of nodes before anything recursive looks at them."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
        if depth > _MAX_DEPTH or number > _MAX_EVENTS:
            raise _broken(
                f"more than {_MAX_DEPTH} levels or {_MAX_EVENTS} values", where, event.start_mark
            )


def _check_keys(node: Any, where: str) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen:
            raise _broken(f"{key.value!r} stands here a second time", where, key.start_mark)
        if isinstance(key, yaml.ScalarNode):
            seen.add(key.value)
