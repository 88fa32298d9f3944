"""What the bridge driver works out and reads, without touching anything."""

import ipaddress
from ipaddress import IPv4Address

import pytest

from lodge.drivers.network.bridge.layout import Names, Subnets, free_cable, ipv6_cable
from lodge.drivers.network.bridge.parse import (
    GivenLease,
    foreign_drops,
    nameservers,
    parse_given_leases,
    reachable_from_elsewhere,
)
from lodge.drivers.network.bridge.question import dns_question, is_answer
from lodge.drivers.network.bridge.release import release_message
from lodge.drivers.network.errors import NetworkFailedError
from lodge.model.network import Network, NetworkKind

RANGE = "169.254.224.0/20"


@pytest.mark.parametrize("network_id", ["1", "ab12cd34", "a" * 40, "with-dash", "../../etc"])
def test_every_name_fits_an_interface_and_is_harmless_as_a_path(network_id: str) -> None:
    names = Names.of(network_id)
    assert len(names.link) <= 15
    assert names.namespace.replace("-", "").isalnum()
    assert names.table.replace("_", "").isalnum()


def test_long_ids_that_begin_alike_have_different_names() -> None:
    assert Names.of("a" * 39 + "b").link != Names.of("a" * 39 + "c").link


def test_the_bridge_has_a_fixed_locally_administered_mac_per_network() -> None:
    def mac(network_id: str) -> str:
        return Subnets.of(
            Network(name="n", id=network_id, kind=NetworkKind.NAT, ipv4=None, ipv6=None,
                    domain="lodge", mtu=1500, created_at=0.0)
        ).bridge_mac  # fmt: skip

    assert mac("a") == mac("a") != mac("b")
    assert int(mac("a")[:2], 16) & 3 == 2


@pytest.mark.parametrize(
    ("taken", "host"),
    [
        ([], "169.254.224.0"),
        (["169.254.224.0/31"], "169.254.224.2"),
        (["169.254.224.3/32"], "169.254.224.0"),
        (["169.254.224.0/24", "169.254.225.0/31"], "169.254.225.2"),
        (["169.254.0.0/16"], "169.254.224.0"),
        (["fe80::1/64", "10.0.0.0/8"], "169.254.224.0"),
    ],
)
def test_a_cable_takes_the_lowest_free_pair(taken: list[str], host: str) -> None:
    cable = free_cable(RANGE, taken)
    assert str(cable.host.ip) == host
    assert cable.router.ip == cable.host.ip + 1


def test_a_range_that_is_used_up_is_told() -> None:
    with pytest.raises(NetworkFailedError, match=r"169\.254\.224\.0/30"):
        free_cable("169.254.224.0/30", ["169.254.224.0/31", "169.254.224.2/31"])


def test_ipv6_cables_are_unique_local_and_differ_by_network() -> None:
    one, two = ipv6_cable("a"), ipv6_cable("b")
    assert one.host.network == one.router.network != two.host.network
    assert one.host.network.subnet_of(ipaddress.IPv6Network("fd00::/8"))


@pytest.mark.parametrize(
    ("text", "servers", "is_reachable"),
    [
        ("nameserver 10.0.0.53\nnameserver 2001:db8::53\n", ["10.0.0.53", "2001:db8::53"], True),
        ("# nameserver 1.2.3.4\nnameserver 127.0.0.53 # stub\n", ["127.0.0.53"], False),
        ("nameserver 10.0.0.53\nnameserver ::1\n", ["10.0.0.53", "::1"], False),
        ("nameserver fe80::1%eth0\n", ["fe80::1%eth0"], False),
        ("nameserver 0.0.0.0\n", ["0.0.0.0"], False),
        ("nameserver\nsearch lan\n", [], False),
        ("nameserver what\n", ["what"], False),
        ("", [], False),
    ],
)
def test_name_servers_are_read_and_judged(
    text: str, servers: list[str], is_reachable: bool
) -> None:
    assert nameservers(text) == servers
    assert reachable_from_elsewhere(servers) is is_reachable


LEASES_2_90 = """\
1795417519 52:54:00:50:00:05 10.1.64.15 web5 01:52:54:00:50:00:05
1795417520 52:54:00:50:00:06 10.1.64.16 * *
duid 00:01:00:01:32:96:93:9e:56:f8:15:6d:06:91
1795417525 5242886 fd00:50:0:1::15 web5 00:01:00:01:32:96:93:9e:56:f8:15:6d:06:91
"""


def test_the_lease_file_of_dnsmasq_is_read_up_to_its_ipv6_part() -> None:
    assert parse_given_leases(LEASES_2_90) == [
        GivenLease("52:54:00:50:00:05", "10.1.64.15", bytes.fromhex("01525400500005")),
        GivenLease("52:54:00:50:00:06", "10.1.64.16", None),
    ]
    assert parse_given_leases("") == []


def test_a_release_speaks_in_the_clients_name() -> None:
    lease = GivenLease("52:54:00:50:00:05", "10.1.64.15", b"\x01abc")
    message = release_message(lease, IPv4Address("10.1.64.1"))
    assert message[:4] == bytes((1, 1, 6, 0))
    assert message[12:16] == IPv4Address("10.1.64.15").packed
    assert message[28:34] == bytes.fromhex("525400500005")
    assert message[236:240] == bytes((99, 130, 83, 99))
    assert message[240:] == bytes((53, 1, 7, 54, 4, 10, 1, 64, 1, 61, 4)) + b"\x01abc\xff"
    nameless = release_message(GivenLease(lease.mac, lease.address, None), IPv4Address("10.1.64.1"))
    assert nameless.endswith(bytes((54, 4, 10, 1, 64, 1, 255)))


def test_a_dns_question_is_laid_out_as_in_rfc_1035_and_only_its_answer_counts() -> None:
    question = dns_question("web1.lodge", 7)
    assert question[12:] == b"\x04web1\x05lodge\0\0\x01\0\x01"
    answer = bytes((0, 7, 0x81, 0x83)) + question[4:]
    assert is_answer(answer, 7)
    assert not is_answer(answer, 8)
    assert not is_answer(question, 7)
    assert not is_answer(b"\0\7", 7)


CHAINS = [
    {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"},
    {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"},
    {"family": "inet", "table": "ufw", "name": "fwd", "hook": "forward", "policy": "accept"},
    {"family": "bridge", "table": "b", "name": "fwd", "hook": "forward", "policy": "drop"},
    {"family": "ip", "table": "filter", "name": "DOCKER"},
]


def test_only_chains_that_drop_forwarded_packets_by_policy_are_named() -> None:
    assert foreign_drops(CHAINS) == ["ip filter FORWARD"]
