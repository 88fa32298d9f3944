"""Settings of the bridge driver."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["BridgeOptions"]


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """Where it keeps files, and which small ranges it takes for itself.

    ``state_dir`` and ``run_dir`` are folders of networks only; each network has one below, by id.

    ``link_range`` gives every network two addresses for the cable between host and router. They
    are link-local (RFC 3927), so no site routes them, and never leave the host; the range keeps
    clear of the cloud metadata and cluster addresses in use (169.254.169-171, .20, .25, .0-.1).
    """

    state_dir: Path
    run_dir: Path
    link_range: str = "169.254.224.0/20"
    resolv_conf: Path = Path("/etc/resolv.conf")
    resolved_conf: Path = Path("/run/systemd/resolve/resolv.conf")
    helper_users: tuple[str, ...] = ("dnsmasq", "nobody")
    start_timeout_s: float = 10.0
