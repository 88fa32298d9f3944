"""The NoCloud seed: what cloud-init in the guest reads at its first boot.

The user's own documents are passed on byte for byte. What Lodge adds stands in ``meta-data``:
cloud-init gives ``public-keys`` there to the image's default user *beside* the keys of the user's
document, while a list in vendor-data would be replaced by a list of the same name there.
Source: cloud-init documentation, "NoCloud" and "Vendor data".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lodge.model.instance import CloudInitSpec
from lodge.services.seeds.iso import iso_image
from lodge.system.files import write_whole

__all__ = ["Seed", "SeedNic", "render_seed", "write_seed"]

_READABLE_BY_OWNER = 0o400
_NO_USER_DATA = "#cloud-config\n{}\n"  # NoCloud is recognised by user-data and meta-data together


@dataclass(frozen=True, slots=True)
class SeedNic:
    """A network card as the guest sees it; ``is_ipv6_leased``: a DHCPv6 server answers there."""

    name: str
    mac: str
    is_ipv6_leased: bool = False


@dataclass(frozen=True, slots=True)
class Seed:
    """The documents of one seed; ``vendor_data`` null: there is none."""

    meta_data: str
    user_data: str
    network_config: str
    vendor_data: str | None

    def files(self) -> dict[str, bytes]:
        """Return the content by the file names NoCloud knows."""
        found = {
            "meta-data": self.meta_data,
            "user-data": self.user_data,
            "network-config": self.network_config,
        }
        if self.vendor_data is not None:
            found["vendor-data"] = self.vendor_data
        return {name: text.encode() for name, text in found.items()}


def _yaml(value: object) -> str:
    # One line per value however long: the tiny guest reads it with grep.
    return yaml.safe_dump(value, sort_keys=False, width=2**31, default_flow_style=False)


def render_seed(
    instance_id: str, hostname: str, cloud_init: CloudInitSpec, nics: Sequence[SeedNic]
) -> Seed:
    """Write the documents; pure. A new ``instance_id`` means "first boot" to cloud-init."""
    meta: dict[str, Any] = {"instance-id": instance_id, "local-hostname": hostname}
    if cloud_init.ssh_keys:
        meta["public-keys"] = [key.strip() for key in cloud_init.ssh_keys]
    user_data = cloud_init.user_data
    return Seed(
        meta_data=_yaml(meta),
        user_data=user_data if user_data and user_data.strip() else _NO_USER_DATA,
        network_config=cloud_init.network_config or _yaml(_network(nics)),
        vendor_data=cloud_init.vendor_data,
    )


def _network(nics: Sequence[SeedNic]) -> dict[str, Any]:
    """Ask for addresses on every card, each found by its MAC and given its name in Lodge.

    Only the first one holds up the boot. DHCPv6 is asked for only where a server answers: some
    network programs wait for it; addresses by router advertisement need nothing here.
    """
    cards: dict[str, Any] = {}
    for number, nic in enumerate(nics):
        card: dict[str, Any] = {
            "match": {"macaddress": nic.mac},
            "set-name": nic.name,
            "dhcp4": True,
        }
        if nic.is_ipv6_leased:
            card["dhcp6"] = True
        if number:
            card["optional"] = True
        cards[nic.name] = card
    return {"version": 2, "ethernets": cards}


def write_seed(
    path: Path,
    *,
    instance_id: str,
    hostname: str,
    cloud_init: CloudInitSpec,
    nics: Sequence[SeedNic],
    uid: int,
) -> None:
    """Write the seed as an ISO image that only ``uid`` may read; it may hold secrets. Idempotent.

    Raises:
        DiskFullError: no room; an older seed stays.
    """
    seed = render_seed(instance_id, hostname, cloud_init, nics)
    write_whole(path, iso_image(seed.files()), mode=_READABLE_BY_OWNER, owner=(uid, -1))
