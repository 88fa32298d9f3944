"""What the fake builder can be told to do wrong."""

import asyncio
from dataclasses import dataclass

__all__ = ["Faults"]


@dataclass
class Faults:
    """``hangs``: the build waits for it; ``differs``: no two builds give the same content."""

    lacks_tool: bool = False
    fails_with: str | None = None
    hangs: asyncio.Event | None = None
    differs: bool = False
