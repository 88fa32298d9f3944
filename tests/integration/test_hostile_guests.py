"""A guest that looks for its host's credentials on the network."""

import pytest
from network_lab import (
    HOST,
    OUTSIDE,
    Guest,
    bridge,
    inside,
    lease,
    make_outside,
    network,
    on_private_host_async,
    sh,
)

pytestmark = [pytest.mark.slow, pytest.mark.root]

METADATA = "169.254.169.254"


def test_a_guest_does_not_reach_what_a_cloud_tells_the_host_alone() -> None:
    async def scenario() -> None:
        make_outside()
        inside("outside", "ip", "addr", "add", f"{METADATA}/32", "dev", "lo")
        sh("ip", "route", "add", f"{METADATA}/32", "via", OUTSIDE)
        blue, web = network(), lease("web1", 15)
        await bridge().ensure(blue, [web])
        guest = Guest(blue, "web1", web.mac)
        guest.ask_for_lease()
        assert " 1 received" in sh("ping", "-c1", "-W2", METADATA)  # the host does
        assert guest.reaches(OUTSIDE)
        assert guest.reaches(HOST)
        assert not guest.reaches(METADATA)

    on_private_host_async(scenario)
