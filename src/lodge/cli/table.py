"""Tables of text that fit a terminal: two spaces between columns, no lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lodge.cli.style import Style

__all__ = ["Heading", "render_facts", "render_table", "width_of"]

GAP = "  "
SHORTEST = 8
ELLIPSIS = "…"


class Heading:
    """A column's title and manners."""

    __slots__ = ("can_shrink", "is_right", "is_state", "title")

    def __init__(
        self,
        title: str,
        *,
        is_right: bool = False,
        can_shrink: bool = False,
        is_state: bool = False,
    ) -> None:
        self.title = title
        self.is_right = is_right
        self.can_shrink = can_shrink
        self.is_state = is_state


def width_of(text: str) -> int:
    """Count terminal cells: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def render_table(
    headings: Sequence[Heading],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None,
    style: Style,
) -> str:
    """Render rows below their headings.

    Args:
        headings: one per cell of a row.
        rows: cells as text, without colours.
        width: cells of the terminal; null: as wide as it needs (pipes and files).
        style: for the headings and the states.
    """
    widths = [
        max([width_of(heading.title), *(width_of(row[place]) for row in rows)])
        for place, heading in enumerate(headings)
    ]
    if width is not None:
        _shrink(widths, headings, width)
    titles = [heading.title for heading in headings]
    lines = [_line(titles, headings, widths, lambda text, _heading: style.paint(text, "bold"))]
    for row in rows:
        lines.append(_line(row, headings, widths, lambda t, h: style.state(t) if h.is_state else t))
    return "\n".join(lines)


def render_facts(facts: Sequence[tuple[str, str]], style: Style, *, indent: str = "") -> str:
    """Render names and values in two columns; a value of several lines stays in its column."""
    if not facts:
        return ""
    column = max(width_of(name) for name, _ in facts) + 3
    lines = []
    for name, text in facts:
        first, *rest = text.split("\n")
        label = style.paint(f"{name}:", "dim") + " " * (column - width_of(name) - 1)
        lines.append(f"{indent}{label}{first}".rstrip())
        lines += [f"{indent}{' ' * column}{line}".rstrip() for line in rest]
    return "\n".join(lines)


def _shrink(widths: list[int], headings: Sequence[Heading], width: int) -> None:
    """Take cells from the widest columns until the table fits: willing ones first, then texts."""
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    for is_willing in (lambda h: h.can_shrink, lambda h: not h.is_right):
        while excess > 0:
            able = [
                place
                for place, heading in enumerate(headings)
                if is_willing(heading) and widths[place] > max(SHORTEST, width_of(heading.title))
            ]
            if not able:
                break
            widest = max(able, key=lambda place: widths[place])
            widths[widest] -= 1
            excess -= 1


def _line(
    cells: Sequence[str],
    headings: Sequence[Heading],
    widths: Sequence[int],
    paint: Callable[[str, Heading], str],
) -> str:
    parts = []
    for place, (text, heading) in enumerate(zip(cells, headings, strict=True)):
        fitted = _fit(text, widths[place])
        padding = " " * (widths[place] - width_of(fitted))
        painted = paint(fitted, heading)
        is_last = place == len(widths) - 1
        parts.append(
            padding + painted if heading.is_right else painted + ("" if is_last else padding)
        )
    return GAP.join(parts).rstrip()


def _fit(text: str, cells: int) -> str:
    if width_of(text) <= cells:
        return text
    while text and width_of(text) > cells - 1:
        text = text[:-1]
    return text + ELLIPSIS
