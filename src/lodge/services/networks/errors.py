"""What can be wrong with a request about a network or an address."""

from lodge.base.errors import (
    ConflictError,
    InvalidError,
    LimitError,
    NotFoundError,
    StateError,
)

__all__ = [
    "AddressTakenError",
    "InvalidDomainError",
    "InvalidMacError",
    "InvalidNetworkSpecError",
    "InvalidPrefixError",
    "MacInUseError",
    "NetworkExistsError",
    "NetworkFullError",
    "NetworkInUseError",
    "NetworkNotFoundError",
    "NetworkNotReadyError",
    "NoFreeSubnetError",
    "PrefixOverlapError",
]


class NetworkNotFoundError(NotFoundError):
    """No network has this name."""

    code = "network_not_found"
    hint_text = "see all networks with: lodge network list"


class NetworkExistsError(ConflictError):
    """A network of this name exists already."""

    code = "network_exists"


class NetworkInUseError(ConflictError):
    """Instances or profiles still use the network; details name them."""

    code = "network_in_use"
    hint_text = "delete or move its users first"


class NetworkNotReadyError(StateError):
    """The network is being created or deleted."""

    code = "network_not_ready"
    retryable = True


class InvalidPrefixError(InvalidError):
    """A gateway's address with prefix length is malformed or cannot be one."""

    code = "invalid_prefix"
    hint_text = "write the gateway's address with prefix length, such as 10.20.0.1/24"


class InvalidDomainError(InvalidError):
    """A domain is no DNS name, or one that means something else everywhere."""

    code = "invalid_domain"
    hint_text = "use lower-case DNS labels, such as lodge or vm.example.com"


class InvalidNetworkSpecError(InvalidError):
    """The request contradicts itself."""

    code = "invalid_network"


class InvalidMacError(InvalidError):
    """A MAC address cannot be that of one network card."""

    code = "invalid_mac"
    hint_text = "use a unicast address, such as 52:54:00:12:34:56, or leave it out"


class PrefixOverlapError(ConflictError):
    """The prefix overlaps with another network's."""

    code = "prefix_overlap"
    hint_text = "choose other addresses, or leave them out to have free ones chosen"


class NoFreeSubnetError(LimitError):
    """Every subnet Lodge would choose overlaps with something."""

    code = "no_free_subnet"
    hint_text = "name free addresses yourself, such as --ipv4 10.20.0.1/24"


class NetworkFullError(LimitError):
    """All addresses of the network are reserved."""

    code = "network_full"
    hint_text = "delete unused instances, or create a larger network"


class AddressTakenError(ConflictError):
    """A wanted address belongs to somebody else, or not to instances at all."""

    code = "address_taken"


class MacInUseError(ConflictError):
    """Another nic has this MAC address."""

    code = "mac_in_use"
