"""Datagrams sent inside a router namespace: a DNS question, DHCP releases. They block shortly."""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from lodge.drivers.network.bridge.layout import BRIDGE
from lodge.drivers.network.bridge.parse import GivenLease
from lodge.drivers.network.bridge.question import DNS_PORT, dns_question, is_answer
from lodge.drivers.network.bridge.release import DHCP_SERVER_PORT, release_message
from lodge.system.namespace import call_in

__all__ = ["answers_dns", "send_releases"]

_DNS_TIMEOUT_S = 1.0
_QUESTION_NUMBER = 0x10D6  # any: the socket is connected and used once


def answers_dns(
    namespace: Path | None,
    address: IPv4Address | IPv6Address,
    name: str,
    *,
    port: int = DNS_PORT,
) -> bool:
    """Whether a name server answers a question for ``name`` within a second."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6

    def ask() -> bool:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(_DNS_TIMEOUT_S)
            try:
                asking.connect((str(address), port))
                asking.send(dns_question(name, _QUESTION_NUMBER))
                return is_answer(asking.recv(4096), _QUESTION_NUMBER)
            except OSError:  # refused (nobody listens yet), unreachable, or too late
                return False

    return call_in(namespace, ask)


def send_releases(namespace: Path, server: IPv4Address, leases: Sequence[GivenLease]) -> None:
    """Take addresses back in the name of clients that are gone."""

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            # dnsmasq takes a release only as coming in by the interface it serves.
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, BRIDGE.encode())
            for lease in leases:
                message = release_message(lease, server)
                sending.sendto(message, (str(server), DHCP_SERVER_PORT))

    call_in(namespace, send)
