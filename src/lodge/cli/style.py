"""Colours: few, only on a terminal, and never the only carrier of a meaning."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Style", "wants_colour"]

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

_WORDS = {
    "running": "green",
    "done": "green",
    "ok": "green",
    "up": "green",
    "stopped": "dim",
    "cancelled": "dim",
    "paused": "yellow",
    "suspended": "yellow",
    "must start": "yellow",
    "must stop": "yellow",
    "degraded": "yellow",
    "low": "yellow",
    "queued": "yellow",
    "undoing": "yellow",
    "error": "red",
    "failed": "red",
    "missing": "red",
    "full": "red",
    "offline": "red",
    "down": "red",
    "unknown": "red",
}


def wants_colour(*, is_terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether to use colour (no-color.org: any non-empty ``NO_COLOR`` says no)."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return is_terminal


class Style:
    """Paint words, or leave them plain."""

    def __init__(self, *, is_coloured: bool) -> None:
        self.is_coloured = is_coloured

    def paint(self, text: str, colour: str) -> str:
        """Return the text in a colour or weight."""
        if not self.is_coloured or not text.strip():
            return text
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"

    def state(self, text: str) -> str:
        """Return a state's word (perhaps padded) in its colour."""
        colour = _WORDS.get(text.strip())
        return self.paint(text, colour) if colour else text
