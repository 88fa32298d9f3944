"""Which addresses people may write, and which Lodge chooses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.services.networks.addressing import (
    check_domain,
    check_mac,
    choose_ipv4,
    ipv6_of,
    parse_ipv4_gateway,
    parse_ipv6_gateway,
    unique_local_gateway,
)
from lodge.services.networks.errors import (
    InvalidDomainError,
    InvalidMacError,
    InvalidPrefixError,
    NoFreeSubnetError,
)


@pytest.mark.parametrize("text", ["10.20.0.1/24", "192.168.7.254/24", "10.0.0.1/8", "10.9.9.2/30"])
def test_a_gateway_inside_its_prefix_is_accepted(text: str) -> None:
    assert str(parse_ipv4_gateway(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.20.0.0/24", "network itself"),
        ("10.20.0.255/24", "broadcast"),
        ("10.20.0.1/31", "too small"),
        ("10.20.0.1/32", "too small"),
        ("10.20.0.1/7", "too large"),
        ("10.20.0.1", "no prefix length"),
        ("10.20.0.1/33", "no address"),
        ("10.20.0.256/24", "no address"),
        ("10.20.0.1/24/8", "no address"),
        ("", "no prefix length"),
        ("/", "no address"),
        ("fd00::1/64", "not an IPv4"),
        ("127.0.0.1/8", "loopback"),
        ("224.0.0.1/24", "multicast"),
        ("169.254.3.1/24", "link-local"),
        ("0.1.2.3/8", "unspecified"),
        ("240.0.0.1/24", "reserved"),
        ("10.20.0.1 /24", "no address"),
    ],
)
def test_what_cannot_be_an_ipv4_gateway_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(InvalidPrefixError, match=said) as refused:
        parse_ipv4_gateway(text)
    assert refused.value.where == "ipv4"
    assert repr(text) in refused.value.message


@pytest.mark.parametrize(
    "text",
    ["fd00:20::1/48", "fd00:20::/64", "fe80::1/64", "ff02::1/64", "::1/64", "10.0.0.1/24",
     "fd00:20::1", "fd00::zz/64", "::ffff:10.0.0.1/64", "fe80::1%eth0/64"],
)  # fmt: skip
def test_what_cannot_be_an_ipv6_gateway_is_refused(text: str) -> None:
    with pytest.raises(InvalidPrefixError) as refused:
        parse_ipv6_gateway(text)
    assert refused.value.where == "ipv6"


def test_free_subnets_come_from_a_fixed_list_around_what_is_used() -> None:
    assert str(choose_ipv4([])) == "10.217.0.1/18"
    assert str(choose_ipv4(["10.217.0.0/18", "10.217.65.7/32"])) == "10.217.128.1/18"
    assert str(choose_ipv4(["10.0.0.0/8", "fd00::/8"])) == "172.20.0.1/18"
    assert str(choose_ipv4(["10.0.0.0/8", "172.16.0.0/12"])) == "192.168.128.1/18"
    with pytest.raises(NoFreeSubnetError):
        choose_ipv4(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])


_PREFIX = st.builds(
    lambda number, length: str(
        ipaddress.ip_network((number >> (32 - length) << (32 - length), length))
    ),
    st.integers(0x0A000000, 0x0AFFFFFF),
    st.integers(10, 32),
)


@given(st.lists(_PREFIX, max_size=30))
def test_a_chosen_subnet_overlaps_with_nothing_used(used: list[str]) -> None:
    chosen = choose_ipv4(used)
    assert not any(chosen.network.overlaps(ipaddress.IPv4Network(text)) for text in used)
    assert parse_ipv4_gateway(str(chosen)) == chosen


@given(st.binary(min_size=5, max_size=5))
def test_a_made_prefix_is_unique_local_and_valid(chance: bytes) -> None:
    gateway = unique_local_gateway(chance)
    assert gateway.network.subnet_of(ipaddress.IPv6Network("fd00::/8"))
    assert parse_ipv6_gateway(str(gateway)) == gateway


@given(st.binary(min_size=6, max_size=6))
def test_ipv6_addresses_differ_whenever_macs_do(octets: bytes) -> None:
    network = ipaddress.IPv6Network("fd00:20::/64")
    address = ipaddress.IPv6Address(ipv6_of(octets.hex(":"), network))
    assert address in network
    packed = address.packed[8:]
    assert bytes((packed[0] ^ 2, *packed[1:3], *packed[5:])) == octets


@pytest.mark.parametrize("text", ["lodge", "vm.example.com", "a-b.c1", "x" * 63])
def test_dns_names_are_accepted_as_domains(text: str) -> None:
    assert check_domain(text) == text


@pytest.mark.parametrize(
    "text",
    ["", ".", "lodge.", ".lodge", "a..b", "-a", "a-", "A", "a_b", "ä", "a b", "x" * 64, "1.2.3.4",
     "local", "my.local", "localhost", "10.in-addr.arpa", "a/b", "a,b", "a\nb",
     ".".join(["x" * 50] * 4)],
)  # fmt: skip
def test_what_is_no_domain_or_means_something_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidDomainError):
        check_domain(text)


@pytest.mark.parametrize(
    "text", ["", "52:54:00:00:00", "52-54-00-00-00-01", "01:00:5e:00:00:01", "00:00:00:00:00:00",
             "ff:ff:ff:ff:ff:ff", "52:54:00:00:00:0g", "52:54:00:00:00:01\n"]
)  # fmt: skip
def test_what_is_not_the_mac_of_one_card_is_refused(text: str) -> None:
    with pytest.raises(InvalidMacError):
        check_mac(text)


def test_a_mac_is_kept_in_lower_case() -> None:
    assert check_mac("52:54:00:AB:CD:EF") == "52:54:00:ab:cd:ef"
