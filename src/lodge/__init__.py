"""Lodge: divide one physical server into many virtual servers and manage them from one place."""

__version__ = "0.1.0"
