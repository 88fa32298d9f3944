"""Small pieces of Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["cell", "code", "fence", "page", "sentence", "table"]

_MADE = "<!-- Made from the code by docs/generate.py: edit the code, then run `make docs`. -->"


def cell(text: str) -> str:
    r"""Make text fit a table's cell.

    >>> cell("a|b\nc")
    'a\\|b c'
    """
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Set text as code; nothing for nothing.

    >>> code("a"), code("")
    ('`a`', '')
    """
    return f"`{text}`" if text else ""


def sentence(docstring: str | None) -> str:
    """Return the first paragraph of a docstring on one line, with Markdown's code marks."""
    first = (docstring or "").strip().split("\n\n")[0]
    return " ".join(first.split()).replace("``", "`")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell(text) for text in row)} |" for row in rows]
    return "\n".join(lines)


def fence(text: str, language: str = "") -> str:
    """Return a block that is shown as it is."""
    return f"```{language}\n{text.rstrip()}\n```"


def page(title: str, *parts: str) -> str:
    """Return a whole page."""
    return "\n\n".join([_MADE, f"# {title}", *(part.strip("\n") for part in parts if part)]) + "\n"
