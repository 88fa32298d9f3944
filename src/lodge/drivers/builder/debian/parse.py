"""What mmdebstrap's log says about how far it is; pure."""

import re

__all__ = ["progress_of"]

_TO_INSTALL = re.compile(r"^\d+ upgraded, (\d+) newly installed", re.M)
_STEP = re.compile(r"^(Get:\d+ |Unpacking |Setting up )(\S+)", re.M)
_WORDS = {"Get": "downloading", "Unpacking": "unpacking", "Setting": "setting up"}


def progress_of(log: str, packages: int = 0) -> tuple[int, str]:
    r"""Estimate (percent, note): each package is fetched, unpacked and set up once.

    ``packages`` is how many there will be, because the log tells them in two parts.

    >>> progress_of("0 upgraded, 2 newly installed\nGet:1 http://m.test x\nUnpacking a (1)\n")
    (33, 'unpacking a')
    """
    known = sum(int(count) for count in _TO_INSTALL.findall(log))
    expected = 3 * max(known, packages)
    steps = _STEP.findall(log)
    if not known or not steps:
        return 0, "reading package lists"
    verb, what = steps[-1]
    word = _WORDS[re.split(r"[ :]", verb)[0]]
    note = word if word == "downloading" else f"{word} {what}"
    return min(99, 100 * len(steps) // expected), note
