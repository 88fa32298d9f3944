"""What can fail while a network is made real.

UnsupportedError
|-- NetworkToolMissingError   dnsmasq, nft, nsenter or /dev/net/tun is not there
`-- Ipv6MissingError          the host's kernel runs without IPv6
ConflictError
|-- AddressInUseError         the host has or routes these addresses already
`-- PortBusyError             somebody holds the port's tap
UnavailableError
`-- NetworkFailedError        the kernel or dnsmasq refused; details carry what it said
"""

from lodge.base.errors import ConflictError, UnavailableError, UnsupportedError

__all__ = [
    "AddressInUseError",
    "Ipv6MissingError",
    "NetworkFailedError",
    "NetworkToolMissingError",
    "PortBusyError",
]


class NetworkToolMissingError(UnsupportedError):
    """The host lacks a program or device that networks need."""

    code = "network_tool_missing"
    hint_text = "install the packages dnsmasq-base, nftables and util-linux; see: lodge host check"


class Ipv6MissingError(UnsupportedError):
    """The host's kernel runs without IPv6."""

    code = "ipv6_missing"
    hint_text = "create the network with ipv6 set to none"


class AddressInUseError(ConflictError):
    """A prefix overlaps with one that the host has or routes already."""

    code = "address_in_use"
    hint_text = "choose other addresses, or leave them out to have free ones chosen"


class PortBusyError(ConflictError):
    """A port's tap is held by somebody, normally a guest's process that still runs."""

    code = "port_busy"
    retryable = True


class NetworkFailedError(UnavailableError):
    """A part of a network could not be brought up or taken down."""

    code = "network_failed"
    hint_text = "see the log in the network's folder and: lodge network show NAME"
