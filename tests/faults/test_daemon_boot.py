"""What a new daemon makes of the instances it finds, and what becomes of instances that fall."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from instance_lab import ROOT, House, Life
from instance_truth import guest_of, wrongs
from private_mounts import mounted_tmpfs

from lodge.drivers.instance.fake.faults import Faults
from lodge.model.image import ImageBuild
from lodge.model.instance import CrashPolicy
from lodge.model.requests import Rename
from lodge.model.task import TaskState
from lodge.services.instances.crashes import CRASH_LIMIT

pytestmark = pytest.mark.root

MIB = 1 << 20
Scene = Callable[[Life], Awaitable[None]]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("boots")
    folder.chmod(0o711)
    with mounted_tmpfs(folder / "fs", size_bytes=1024 * MIB) as root:
        house = House(root / "house")

        async def make() -> None:
            async with house.life() as life:
                build = ImageBuild(recipe="tiny")
                await life.done(await life.parts.resources.images.build(build, ROOT))
                await life.quiet()

        asyncio.run(make())
        house.keep("furnished")
        yield house


@pytest.fixture
def house(furnished: House) -> House:
    furnished.bring_back("furnished")
    return furnished


def play(house: House, *scenes: Scene) -> None:
    """One life of the daemon for each scene."""

    async def run() -> None:
        for scene in scenes:
            async with house.life() as life:
                await scene(life)

    asyncio.run(run())


def reboot(house: House) -> None:
    """Lose every process and everything in /run."""
    shutil.rmtree(house.run)


def states(life: Life) -> dict[str, str]:
    return {view.name: view.state.value for view in life.instances.list()}


def crash(life: Life, name: str) -> None:
    life.driver.crash(life.record(name).id, life.run_dir(name))


async def until(life: Life, name: str, state: str) -> None:
    await life._until(lambda: life.view(name).state.value == state)


def test_after_a_reboot_instances_come_back_in_order_and_others_are_stopped(house: House) -> None:
    async def before(life: Life) -> None:
        await life.launch("second", starts_at_boot=True, boot_order=20)
        await life.launch("first", starts_at_boot=True, boot_order=10, starts=False)
        await life.launch("third", starts_at_boot=True, boot_order=20, is_protected=True)
        await life.launch("other")
        await life.launch("asleep")
        await life.done(await life.instances.suspend("asleep", ROOT))
        await life.done(await life.instances.pause("other", ROOT))

    async def after(life: Life) -> None:
        await life.quiet()
        assert states(life) == {
            "first": "running",
            "second": "running",
            "third": "running",
            "other": "stopped",
            "asleep": "suspended",
        }
        started = [t.target for t in reversed(life.tasks) if t.actor.reasons == ("starts at boot",)]
        assert started == ["instances/first", "instances/second", "instances/third"]
        assert await wrongs(life) == []

    play(house, before)
    reboot(house)
    play(house, after)


def test_a_daemon_that_dies_while_instances_start_at_boot_is_followed_by_one_that_goes_on(
    house: House,
) -> None:
    guests = []

    async def before(life: Life) -> None:
        for name in ("one", "two", "three"):
            await life.launch(name, starts_at_boot=True)

    async def dies(life: Life) -> None:
        await until(life, "one", "running")  # by name: one, three, two
        guests.append(guest_of(life, "one"))
        life.die()

    async def goes_on(life: Life) -> None:
        await life.quiet()
        assert set(states(life).values()) == {"running"}
        assert guest_of(life, "one") == guests[0]
        assert await wrongs(life) == []

    play(house, before)
    reboot(house)
    play(house, dies, goes_on)


def test_one_that_cannot_start_at_boot_does_not_keep_the_others_down(house: House) -> None:
    async def before(life: Life) -> None:
        for name in ("bad", "good"):
            await life.launch(name, starts_at_boot=True)

    async def after(life: Life) -> None:
        await until(life, "good", "running")
        assert life.view("bad").state.value == "error"
        assert "could not be started at boot" in life.view("bad").status.reason
        assert not life.daemon._failed.is_set()

    play(house, before)
    reboot(house)
    disks = house.state / "pools" / "default" / ".fake-volumes"
    lines = [line for line in disks.read_text().splitlines() if '"base"' in line]
    disks.write_text(lines[-1] + "\n")  # the disk of the first is gone
    play(house, after)


def test_guests_of_a_host_that_was_not_rebooted_are_adopted_without_a_run_marker(
    house: House,
) -> None:
    guests = []

    async def before(life: Life) -> None:
        await life.launch("web")
        guests.append(guest_of(life, "web"))

    async def after(life: Life) -> None:
        await life.quiet()
        assert states(life) == {"web": "running"}
        assert guest_of(life, "web") == guests[0]

    play(house, before)
    (house.run / "host-is-up").unlink()
    play(house, after)


def test_memory_from_which_a_guest_may_have_run_is_not_loaded_after_a_reboot(house: House) -> None:
    async def before(life: Life) -> None:
        await life.launch("web")
        await life.done(await life.instances.suspend("web", ROOT))
        folder = house.state / "instances" / life.record("web").id
        (folder / "memory.saved").rename(folder / "memory.loading")

    async def after(life: Life) -> None:
        await life.quiet()
        assert states(life) == {"web": "stopped"}
        assert await wrongs(life) == []

    play(house, before)
    reboot(house)
    play(house, after)


@pytest.mark.parametrize(
    ("policy", "state"), [(CrashPolicy.RESTART, "running"), (CrashPolicy.STOP, "stopped")]
)
def test_an_end_while_no_daemon_watched_is_a_crash(
    house: House, policy: CrashPolicy, state: str
) -> None:
    async def before(life: Life) -> None:
        await life.launch("web", on_crash=policy)
        (life.run_dir("web") / "fake.json").unlink()

    async def after(life: Life) -> None:
        await life.quiet()
        assert states(life) == {"web": state}
        assert life.view("web").status.crash_count == 1
        assert await wrongs(life) == []

    play(house, before, after)


def test_a_guest_that_switched_itself_off_is_wanted_stopped(house: House) -> None:
    async def scene(life: Life) -> None:
        await life.launch("web")
        record = life.record("web")
        await life.driver.shutdown(record.id, record.handle or {})
        await until(life, "web", "stopped")
        await life.quiet()
        assert life.record("web").wanted.value == "stopped"
        assert await wrongs(life) == []

    async def later(life: Life) -> None:
        await life.quiet()
        assert states(life) == {"web": "stopped"}

    play(house, scene, later)


def test_an_instance_that_falls_and_falls_ends_in_error_until_a_start_forgives(
    house: House,
) -> None:
    delays = []

    async def scene(life: Life) -> None:
        await life.launch("web")
        for _ in range(CRASH_LIMIT):
            fell = life.world.monotonic()
            crash(life, "web")
            await life._until(lambda: life.view("web").state.value in ("error", "must start"))
            await life._until(
                lambda: (
                    life.view("web").state.value == "running" or (life.record("web").handle is None)
                )
            )
            await life._until(lambda: all(t.state.is_final for t in life.tasks))
            delays.append(life.world.monotonic() - fell)
        view = life.view("web")
        assert view.state.value == "error"
        assert "crashed 5 times" in view.status.reason
        assert delays[:4] == sorted(delays[:4])
        assert delays[3] >= 8 * 0.9

    async def later(life: Life) -> None:
        await life.let_pass(120)
        assert life.view("web").state.value == "error"
        assert "gave it up" in life.view("web").status.reason
        await life.done(await life.instances.start("web", ROOT))
        view = life.view("web")
        assert (view.state.value, view.status.crash_count, view.status.reason) == ("running", 0, "")
        assert await wrongs(life) == []

    play(house, scene, later)


def test_a_pending_restart_can_be_stopped(house: House) -> None:
    async def scene(life: Life) -> None:
        await life.launch("web")
        for _ in range(2):
            crash(life, "web")
            await life._until(lambda: life.view("web").state.value == "error")
            if life.view("web").status.crash_count == 1:
                await until(life, "web", "running")
        await life.done(await life.instances.stop("web", ROOT))
        await life.let_pass(120)
        assert states(life) == {"web": "stopped"}
        assert await wrongs(life) == []

    play(house, scene)


def test_an_end_that_nobody_told_is_found_by_looking_around(house: House) -> None:
    async def scene(life: Life) -> None:
        await life.launch("web")
        (life.run_dir("web") / "fake.json").unlink()
        await life._until(lambda: life.view("web").status.crash_count == 1)
        await until(life, "web", "running")
        await life.quiet()
        assert await wrongs(life) == []

    play(house, scene)


def test_guests_on_a_full_pool_are_held_and_let_go_when_there_is_room(house: House) -> None:
    async def scene(life: Life) -> None:
        await life.launch("web")
        await life.launch("paused")
        await life.launch("idle", starts=False)
        await life.done(await life.instances.pause("paused", ROOT))
        (await life.pool()).fill(leaving_bytes=0)
        await until(life, "web", "paused")
        await life._until(lambda: bool(life.view("web").status.reason))
        await life.let_pass(90)
        view = life.view("web")
        assert view.status.reason == "paused: its storage pool is full"
        assert view.wanted == "running"
        assert states(life) == {"web": "paused", "paused": "paused", "idle": "stopped"}
        (await life.pool()).fill(leaving_bytes=1 << 39)
        await until(life, "web", "running")
        await life.let_pass(10)
        assert states(life) == {"web": "running", "paused": "paused", "idle": "stopped"}
        assert life.view("web").status.reason == ""
        kinds = [event.kind for event in life.parts.services.events.since(0)]
        assert kinds.index("pool.full") < kinds.index("pool.recovered")
        assert kinds.count("instance.held") == 1

    play(house, scene)


def test_a_rename_while_a_start_waits_does_not_start_another_instance_of_that_name(
    house: House,
) -> None:
    async def scene(life: Life) -> None:
        await life.launch("one", starts=False)
        await life.launch("two", starts=False)
        tasks = await asyncio.gather(
            life.instances.rename("one", Rename(name="uno"), ROOT),
            life.instances.rename("two", Rename(name="one2"), ROOT),
            life.instances.start("one", ROOT),
        )
        ended = [await life.ended(task) for task in tasks]
        assert [t.state for t in ended[:2]] == [TaskState.DONE, TaskState.DONE]
        assert ended[2].state is TaskState.FAILED
        assert ended[2].error is not None
        assert ended[2].error["code"] == "instance_not_found"
        assert states(life) == {"one2": "stopped", "uno": "stopped"}
        assert await wrongs(life) == []

    play(house, scene)


class Slow(Faults):
    """Drivers' calls take a while; how many are under way at once is counted."""

    busy = 0
    most_busy = 0

    async def meet(self, method: str) -> bool:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        for _ in range(5):
            await asyncio.sleep(0)
        self.busy -= 1
        return await super().meet(method)


def test_many_instances_are_adopted_at_a_time_but_not_all(house: House) -> None:
    async def before(life: Life) -> None:
        for number in range(40):
            await life.launch(f"web{number}")

    async def after(life: Life) -> None:
        slow = life.driver.faults = Slow()
        await life.parts.boot.adopt_all()
        assert 8 <= slow.most_busy <= 32 + 3  # loops of the daemon look around meanwhile
        assert set(states(life).values()) == {"running"}

    play(house, before, after)


def test_folders_of_the_house_are_for_its_owner_only(house: House) -> None:
    async def scene(life: Life) -> None:
        await life.launch("web")
        folder: Path = house.state / "instances" / life.record("web").id
        assert folder.stat().st_mode & 0o007 == 0
        assert (house.state / "tls").stat().st_mode & 0o077 == 0

    play(house, scene)
