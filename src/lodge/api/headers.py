"""Headers every answer carries."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["SAFE_HEADERS", "TRACE_HEADER"]

TRACE_HEADER = "Lodge-Trace"

SAFE_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Server": "lodge",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # Nothing here is a page: whatever a browser makes of it, it may load and frame nothing.
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
"""No Strict-Transport-Security: it binds the host's name on every port, which guests may use."""
