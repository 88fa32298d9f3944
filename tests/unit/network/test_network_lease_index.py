"""The index of leases is the same as looking at all of them, whatever happened in between."""

import asyncio
import random
from pathlib import Path

import pytest

from lodge.base.world import RealWorld
from lodge.model.network import Lease
from lodge.services.networks.lease_index import LeaseIndex
from lodge.store.contract import Operation
from lodge.store.records import Records
from lodge.store.sqlite.store import SqliteStore

NAMES = ("a", "b", "c")


@pytest.mark.parametrize("seed", range(5))
def test_the_index_agrees_with_the_store_after_any_changes(seed: int, tmp_path: Path) -> None:
    async def scenario() -> None:
        chance = random.Random(seed)
        store = await SqliteStore.open(tmp_path, RealWorld(), backups_kept=0)
        records = Records(store, "leases/", Lease)
        index = LeaseIndex(store, records)
        for _ in range(60):
            network, instance = chance.choice(NAMES), chance.choice(NAMES)
            key = f"{network}/{instance}/eth0"
            # After a rename the key stays where the instance's name inside differs.
            lease = Lease(network=network, instance=chance.choice(NAMES), nic="eth0",
                          mac=f"52:54:00:00:00:{chance.randrange(256):02x}")  # fmt: skip
            write: Operation = (
                records.delete(key) if chance.random() < 0.4 else records.put(key, lease)
            )
            await store.txn([], [write])
            if chance.random() < 0.2:
                await store.compact(store.revision)
            if chance.random() < 0.5:
                for name in NAMES:
                    whole = [one for _, one in records.items()]
                    seen = index.in_network(name)
                    assert sorted(seen, key=repr) == sorted(
                        (one for one in whole if one.network == name), key=repr
                    )
                    seen = index.of_instance(name)
                    assert sorted(seen, key=repr) == sorted(
                        (one for one in whole if one.instance == name), key=repr
                    )
        await store.close()

    asyncio.run(scenario())
