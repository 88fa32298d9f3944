"""What guests of a real network can do: addresses, names, ways out; and what they cannot."""

import pytest
from network_lab import (
    HOST,
    OUTSIDE,
    OUTSIDE6,
    Guest,
    bridge,
    eventually,
    inside,
    lease,
    make_outside,
    network,
    on_private_host_async,
    reaches,
    sh,
)

from lodge.model.network import NetworkKind

pytestmark = pytest.mark.root


def test_a_guest_gets_its_own_address_name_and_mtu_and_reaches_the_outside_masqueraded() -> None:
    async def scenario() -> None:
        make_outside()
        blue, web = network(), lease("web1", 15)
        await bridge().ensure(blue, [web, lease("db1", 16)])
        guest = Guest(blue, "web1", web.mac)
        given = guest.ask_for_lease("-x", "hostname:db1")
        assert given["ip"] == "10.217.0.15"
        assert given["mtu"] == "1450"
        assert given["hostname"] == "web1"
        assert given["domain"] == "lodge"
        assert given["router"] == given["dns"] == "10.217.0.1"
        assert guest.reaches("10.217.0.1")
        assert guest.reaches(OUTSIDE)
        # The outside has no route to the network: an answer proves the masquerade.
        assert "10.217" not in inside("outside", "ip", "route")
        assert reaches("10.217.0.15")

    on_private_host_async(scenario)


def test_names_resolve_forward_and_reverse_short_and_long_and_strangers_do_not() -> None:
    async def scenario() -> None:
        blue, web, db = network(), lease("web1", 15), lease("db1", 16)
        await bridge().ensure(blue, [web, db])
        guest = Guest(blue, "web1", web.mac)
        guest.ask_for_lease()
        for name in ("db1", "db1.lodge"):
            answer = guest.lookup(name)
            assert "10.217.0.16" in answer
            assert "fd12:3456:789a:0:5054:ff:fe00:10" in answer
        assert "db1.lodge" in guest.lookup("10.217.0.16")
        assert "db1.lodge" in guest.lookup("fd12:3456:789a:0:5054:ff:fe00:10")
        assert "10.217.0.1" in guest.lookup("gateway.lodge")
        assert "NXDOMAIN" in guest.lookup("nobody.lodge")
        assert "NXDOMAIN" in guest.lookup("10.217.0.99")
        # The host may ask the network's server as well.
        assert "10.217.0.16" in sh("busybox", "nslookup", "db1.lodge", "10.217.0.1")

    on_private_host_async(scenario)


def test_a_stranger_on_the_bridge_gets_no_lease() -> None:
    async def scenario() -> None:
        blue = network()
        await bridge().ensure(blue, [lease("web1", 15)])
        stranger = Guest(blue, "evil", "52:54:00:00:00:99")
        assert stranger.ask_for_lease("-r", "10.217.0.15") == {}

    on_private_host_async(scenario)


def test_an_address_that_changed_hands_is_given_to_its_new_owner_at_once() -> None:
    async def scenario() -> None:
        blue, driver = network(), bridge()
        old, new = lease("old", 15), lease("new", 15, mac="52:54:00:00:00:77")
        await driver.ensure(blue, [old])
        assert Guest(blue, "old", old.mac).ask_for_lease()["ip"] == "10.217.0.15"
        await driver.set_leases(blue, [new])
        given = Guest(blue, "new", new.mac).ask_for_lease()
        assert (given["ip"], given["hostname"]) == ("10.217.0.15", "new")

    on_private_host_async(scenario)


def test_a_renamed_instance_answers_to_its_new_name_only() -> None:
    async def scenario() -> None:
        blue, driver = network(), bridge()
        await driver.ensure(blue, [lease("old", 15)])
        await driver.set_leases(blue, [lease("new", 15)])
        eventually(
            lambda: "10.217.0.15" in sh("busybox", "nslookup", "new.lodge", "10.217.0.1",
                                        check=False),
            what="the new name",
        )  # fmt: skip
        assert "NXDOMAIN" in sh("busybox", "nslookup", "old.lodge", "10.217.0.1", check=False)

    on_private_host_async(scenario)


def test_a_guest_makes_the_recorded_ipv6_address_and_goes_out_only_where_the_host_can() -> None:
    async def scenario() -> None:
        make_outside(ipv6=True)
        blue, web = network(), lease("web1", 15)
        await bridge().ensure(blue, [web])
        guest = Guest(blue, "web1", web.mac)
        assert web.ipv6 is not None
        eventually(lambda: web.ipv6 in guest("ip", "-6", "addr", "show", "dev", "eth0"),
                   what="the address made of the MAC")  # fmt: skip
        eventually(lambda: reaches(web.ipv6 or ""), what="the guest's IPv6 from the host")
        eventually(lambda: "default" in guest("ip", "-6", "route"), what="a default route")
        assert "mtu 1450" in guest("ip", "-6", "route")
        assert guest.reaches(OUTSIDE6)

    on_private_host_async(scenario)


def test_without_an_ipv6_way_out_no_router_is_announced() -> None:
    async def scenario() -> None:
        make_outside()
        blue, web = network(), lease("web1", 15)
        await bridge().ensure(blue, [web])
        guest = Guest(blue, "web1", web.mac)
        eventually(lambda: (web.ipv6 or "") in guest("ip", "-6", "addr"), what="the address")
        assert "default" not in guest("ip", "-6", "route")
        assert sh("cat", "/proc/sys/net/ipv6/conf/all/forwarding") == "0\n"

    on_private_host_async(scenario)


def test_an_isolated_network_reaches_neither_the_outside_nor_the_host_but_the_host_reaches_it() -> (
    None
):
    async def scenario() -> None:
        make_outside(ipv6=True)
        dark, web = network(kind=NetworkKind.ISOLATED), lease("web1", 15)
        await bridge().ensure(dark, [web, lease("db1", 16)])
        guest = Guest(dark, "web1", web.mac)
        given = guest.ask_for_lease()
        assert (given["ip"], given["router"]) == ("10.217.0.15", "")
        guest("ip", "route", "add", "default", "via", "10.217.0.1")
        assert reaches("10.217.0.15")
        assert guest.reaches("10.217.0.1")
        assert not guest.reaches(OUTSIDE)
        assert not guest.reaches(HOST)
        assert not guest.reaches("169.254.224.0")
        assert "10.217.0.16" in guest.lookup("db1.lodge")
        assert sh("cat", "/proc/sys/net/ipv4/ip_forward") == "0\n"

    on_private_host_async(scenario)


def test_two_networks_of_one_host_are_apart_and_the_outside_reaches_none() -> None:
    async def scenario() -> None:
        make_outside()
        driver, blue = bridge(), network()
        red = network("red", ipv4="10.218.0.1/24", ipv6=None)
        web, red_web = lease("web1", 15), lease("web1", 15, network="red", ipv4="10.218.0.15")
        await driver.ensure(blue, [web])
        await driver.ensure(red, [red_web])
        one, two = Guest(blue, "one", web.mac), Guest(red, "two", red_web.mac)
        assert one.ask_for_lease()["ip"] == "10.217.0.15"
        assert two.ask_for_lease()["ip"] == "10.218.0.15"
        assert reaches("10.217.0.15")
        assert reaches("10.218.0.15")
        assert not one.reaches("10.218.0.15")
        assert not two.reaches("10.217.0.15")
        inside("outside", "ip", "route", "add", "10.217.0.0/16", "via", HOST)
        assert not reaches("10.217.0.15", "outside")

    on_private_host_async(scenario)


def test_a_guest_with_a_foreign_source_address_does_not_get_out() -> None:
    async def scenario() -> None:
        make_outside()
        blue, web = network(), lease("web1", 15)
        await bridge().ensure(blue, [web])
        inside("outside", "ip", "route", "add", "10.99.0.0/16", "via", HOST)
        guest = Guest(blue, "web1", web.mac)
        guest.ask_for_lease()
        assert guest.reaches(OUTSIDE)
        guest("ip", "addr", "add", "10.99.0.9/32", "dev", "lo")
        spoofed = guest("ping", "-c1", "-W1", "-I", "10.99.0.9", OUTSIDE, check=False)
        assert " 0 received" in spoofed

    on_private_host_async(scenario)
