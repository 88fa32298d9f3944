"""When a name is not found: the name that was perhaps meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lodge.base.errors import LodgeError, NotFoundError
from lodge.cli.parser import Command, nearest
from lodge.client.errors import Answered

if TYPE_CHECKING:
    from lodge.cli.invocation import Invocation

__all__ = ["names_of", "with_guess"]

_BY_CODE = {
    "instance_not_found": "instances",
    "image_not_found": "images",
    "image_unknown": "images",
    "pool_not_found": "pools",
    "network_not_found": "networks",
    "profile_not_found": "profiles",
}


def names_of(invocation: Invocation, noun: str) -> list[str]:
    """Ask the daemon for all names of a noun; images answer with their aliases."""
    client = invocation.client
    match noun:
        case "images":
            items = client.images.list()["items"]
            return [
                alias for item in items for alias in item["aliases"] or [item["fingerprint"][:12]]
            ]
        case "catalogue":
            return [item["name"] for item in client.images.catalogue()["items"]]
        case "volumes":
            return [f"{item['pool']}/{item['name']}" for item in client.volumes.list()["items"]]
        case "tasks" | "tokens":
            group = client.tasks if noun == "tasks" else client.tokens
            return [item["id"] for item in group.list()["items"]]
        case "settings":
            return [item["name"] for item in client.settings.list()["items"]]
        case _:
            return [item["name"] for item in getattr(client, noun).list()["items"]]


def with_guess(invocation: Invocation, command: Command, error: NotFoundError) -> LodgeError:
    """Add "did you mean" to an error about an unknown name, when one comes near."""
    noun = _BY_CODE.get(error.answered_code if isinstance(error, Answered) else "")
    if noun is None:
        return error
    asked = (error.where or "").rpartition("/")[2] or _quoted(error.message)
    try:
        guess = nearest(asked, names_of(invocation, noun))
    except LodgeError:
        return error  # the first failure is the one to tell
    if guess and guess != asked:
        error.hint = f"did you mean {guess}?" + (f" ({error.hint})" if error.hint else "")
    elif not error.hint:
        group = "" if noun == "instances" else f"{command.name.partition(' ')[0]} "
        error.hint = f"see: lodge {group}list" if noun != "images" else "see: lodge image list"
    return error


def _quoted(message: str) -> str:
    parts = message.split("'")
    return parts[1] if len(parts) > 2 else ""
