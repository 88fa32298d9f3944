"""Every first word of the command line, and the module that knows more about it.

Only the module of the command that was typed is loaded; a test proves that this table and the
modules agree.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ENTRIES", "SYNONYMS", "Entry"]


class Entry(NamedTuple):
    """A first word: its module below ``lodge.cli.commands``, a summary, a heading in the help."""

    module: str
    summary: str
    section: str


ENTRIES: dict[str, Entry] = {
    "launch": Entry("launch", "Create an instance from an image and start it", "Instances"),
    "list": Entry("instances", "List instances", "Instances"),
    "show": Entry("instances", "Show everything about an instance", "Instances"),
    "start": Entry("power", "Start instances, suspended ones where they left off", "Instances"),
    "shutdown": Entry("power", "Ask the guests to end, and wait for it", "Instances"),
    "stop": Entry("power", "Pull the plug of instances", "Instances"),
    "restart": Entry("power", "Shut instances down, then start them", "Instances"),
    "reset": Entry("power", "Press the reset button of instances", "Instances"),
    "pause": Entry("power", "Freeze instances, keeping their memory in RAM", "Instances"),
    "resume": Entry("power", "Let paused or suspended instances go on", "Instances"),
    "suspend": Entry("power", "Write the memory of instances to disk and stop them", "Instances"),
    "set": Entry("change", "Change settings of an instance", "Instances"),
    "rename": Entry("change", "Give an instance another name", "Instances"),
    "delete": Entry("change", "Delete instances with their disks", "Instances"),
    "exec": Entry("execute", "Run a command inside an instance", "Inside an instance"),
    "console": Entry("console", "Connect to the serial console", "Inside an instance"),
    "push": Entry("files", "Copy a file into an instance", "Inside an instance"),
    "pull": Entry("files", "Copy a file out of an instance", "Inside an instance"),
    "screenshot": Entry("screen", "Save a picture of the screen", "Inside an instance"),
    "logs": Entry("screen", "Print the serial log or the log of QEMU", "Inside an instance"),
    "image": Entry("images", "Images: list, show, add, build, import, export...", "Resources"),
    "volume": Entry("volumes", "Volumes: list, show, create, resize, delete", "Resources"),
    "pool": Entry("pools", "Storage pools: list, show, create, delete", "Resources"),
    "network": Entry("networks", "Networks: list, show, create, delete", "Resources"),
    "profile": Entry("profiles", "Profiles: list, show, set, delete", "Resources"),
    "task": Entry("tasks", "Tasks: list, show, follow, cancel", "Operation"),
    "events": Entry("events", "Show what happened, and what happens", "Operation"),
    "audit": Entry("events", "Show who changed what", "Operation"),
    "host": Entry("hosts", "The host: show, check", "Operation"),
    "token": Entry("tokens", "Tokens for the HTTPS door: create, list, revoke", "Operation"),
    "config": Entry("settings", "Settings of the daemon: list, get, set", "Operation"),
    "remote": Entry("remotes", "Remote daemons: add, list, remove", "This command"),
    "completion": Entry("completion", "Print a completion script for a shell", "This command"),
    "version": Entry("version", "Show the versions of command and daemon", "This command"),
}

SYNONYMS = {
    "create": "launch",
    "destroy": "delete",
    "info": "show",
    "kill": "stop",
    "ls": "list",
    "ps": "list",
    "reboot": "restart",
    "remove": "delete",
    "rm": "delete",
    "run": "launch",
    "sh": "console",
    "shell": "console",
    "status": "list",
    "update": "set",
    "cp": "push",
}
"""What people type who come from elsewhere; answered with a hint, never guessed."""
