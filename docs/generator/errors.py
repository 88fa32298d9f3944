"""Every failure with its code."""

import importlib
import pkgutil

import lodge
from generator.markdown import code, page, sentence, table
from lodge.api.statuses import status_of
from lodge.base.errors import Category, LodgeError, family
from lodge.cli.failures import exit_status
from lodge.client.errors import Answered

__all__ = ["all_errors", "errors_page"]

_ABOUT = """
Every expected failure has a code. Codes never change their meaning; messages may be worded better.

On the command line the message and the hint go to standard error, and the exit status tells the
family ([exit codes](exit-codes.md)); with `--format json` the code is in the JSON. The API answers

```json
{"error": {"code": "instance_not_found", "category": "not_found", "message": "...",
           "retryable": false, "where": "instances/web", "hint": "..."}, "trace": "..."}
```

`where` names the bad field or thing, `details` (when there) holds the numbers of the message as
JSON values. `retryable` says that the same request may succeed later. `trace` stands in the
daemon's log too. A task that failed has the same object in its field `error`.

*HTTP* is empty where the command line finds the failure itself, without asking the daemon.
"""


def all_errors() -> list[type[LodgeError]]:
    """Import the whole package and return its errors by code.

    The client's ``Answered`` errors are left out: they carry the code that the daemon sent.
    """
    for module in pkgutil.walk_packages(lodge.__path__, "lodge."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = [
        error
        for error in family(LodgeError)
        if not issubclass(error, Answered) and error.__module__.partition(".")[0] == "lodge"
    ]
    return sorted(found, key=lambda error: error.code)


def errors_page() -> str:
    """One table for each family."""
    errors = all_errors()
    parts = [_ABOUT]
    for category in Category:
        mine = [error for error in errors if error.category is category]
        if mine:
            head = ("code", "HTTP", "exit", "meaning", "what to do")
            parts += [f"## {category.value}", table(head, (_row(error) for error in mine))]
    return page("Errors", *parts)


def _row(error: type[LodgeError]) -> tuple[str, str, str, str, str]:
    blank = error.__new__(error)  # the maps look at the class only
    is_local = error.__module__.startswith(("lodge.cli", "lodge.client"))
    again = " *(retryable)*" if error.retryable else ""
    return (
        code(error.code),
        "" if is_local else str(int(status_of(blank))),
        str(int(exit_status(blank))),
        sentence(error.__doc__) + again,
        error.hint_text,
    )
