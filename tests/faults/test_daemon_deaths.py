"""The daemon dies, a driver fails, a person cancels: anywhere in every kind of task there is.

Points are found by watching a whole run, kinds by asking the engine: nothing is listed by hand but
how to ask for one task of each kind.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from image_server import ImageServer, Page, image_server
from instance_lab import ROOT, House, Life, Point, nothing
from instance_truth import facts, guest_of, wrongs
from private_mounts import mounted_tmpfs

from lodge.base.errors import UnavailableError
from lodge.drivers.builder.fake.render import empty_qcow2
from lodge.model.image import ImageAdd, ImageBuild
from lodge.model.network import NetworkCreate
from lodge.model.requests import InstanceChange, InstanceCreate, Rename, ShutdownRequest
from lodge.model.storage import PoolCreate, VolumeCreate
from lodge.model.task import Task, TaskState

pytestmark = pytest.mark.root

MIB = 1 << 20
DISK = empty_qcow2(16 * MIB, serial=7)
BYSTANDERS = ("calm", "quiet")

Ask = Callable[[Life, ImageServer], Awaitable[Task | None]]


class BrokenError(UnavailableError):
    """A driver was told to fail."""


async def data() -> AsyncIterator[bytes]:
    yield DISK


async def crash(life: Life, _web: ImageServer) -> None:
    """The process of a guest dies; the watch asks for the task."""
    life.driver.crash(life.record("web").id, life.run_dir("web"))
    await life._until(lambda: any(t.kind == "instance.settle" for t in life.tasks))


def instance(verb: str, name: str) -> Ask:
    async def ask(life: Life, _web: ImageServer) -> Task:
        task: Task = await getattr(life.instances, verb)(name, ROOT)
        return task

    return ask


def graceful(verb: str, name: str) -> Ask:
    async def ask(life: Life, _web: ImageServer) -> Task:
        request = ShutdownRequest(timeout_s=5, is_forced=True)
        task: Task = await getattr(life.instances, verb)(name, request, ROOT)
        return task

    return ask


async def create(life: Life, _web: ImageServer) -> Task:
    request = InstanceCreate(name="fresh", image="tiny", memory_mib=64)
    task: Task = await life.instances.create(request, ROOT)
    return task


async def build(life: Life, _web: ImageServer) -> Task:
    return await life.parts.resources.images.build(ImageBuild(recipe="debian-12"), ROOT)


async def add(life: Life, web: ImageServer) -> Task:
    digest = hashlib.sha256(DISK).hexdigest()
    request = ImageAdd(source=web.url("/disk"), alias="fetched", sha256=digest)
    return await life.parts.resources.images.add(request, ROOT)


async def bring(life: Life, _web: ImageServer) -> Task:
    return await life.parts.resources.images.receive(
        data(), alias="brought", format=None, description="", actor=ROOT
    )


SCENARIOS: Mapping[str, Ask] = {
    "instance.create": create,
    "instance.delete": lambda life, _: life.instances.delete("idle", ROOT),
    "instance.delete running": lambda life, _: life.instances.delete("web", ROOT, is_forced=True),
    "instance.delete suspended": instance("delete", "asleep"),
    "instance.change": lambda life, _: life.instances.change(
        "idle", InstanceChange(cpus=2, memory_mib=128), ROOT
    ),
    "instance.rename": lambda life, _: life.instances.rename("web", Rename(name="www"), ROOT),
    "instance.settle": crash,
    "instance.start": instance("start", "idle"),
    "instance.start suspended": instance("start", "asleep"),
    "instance.stop": instance("stop", "web"),
    "instance.stop suspended": instance("stop", "asleep"),
    "instance.reset": instance("reset", "web"),
    "instance.pause": instance("pause", "web"),
    "instance.resume": instance("resume", "frozen"),
    "instance.resume suspended": instance("resume", "asleep"),
    "instance.suspend": instance("suspend", "web"),
    "instance.suspend paused": instance("suspend", "frozen"),
    "instance.shutdown": graceful("shutdown", "web"),
    "instance.restart": graceful("restart", "web"),
    "image.build": build,
    "image.add": add,
    "image.import": bring,
    "image.remove": lambda life, _: life.parts.resources.images.remove("unused", ROOT),
    "pool.create": lambda life, _: life.parts.resources.pools.create(
        PoolCreate(name="new", driver="fake"), ROOT
    ),
    "pool.delete": lambda life, _: life.parts.resources.pools.delete("spare", ROOT),
    "volume.create": lambda life, _: life.parts.resources.volumes.create(
        VolumeCreate(name="more", pool="default", size_bytes=MIB), ROOT
    ),
    "volume.resize": lambda life, _: life.parts.resources.volumes.resize(
        "default", "data", 2 * MIB, ROOT
    ),
    "volume.delete": lambda life, _: life.parts.resources.volumes.delete("default", "data", ROOT),
    "network.create": lambda life, _: life.parts.resources.networks.create(
        NetworkCreate(name="new"), ROOT
    ),
    "network.delete": lambda life, _: life.parts.resources.networks.delete("extra", ROOT),
}


async def furnish(life: Life, _web: ImageServer) -> None:
    """Make one of everything that a task may work on."""
    resources = life.parts.resources
    await life.done(await resources.images.build(ImageBuild(recipe="tiny"), ROOT))
    unused = await resources.images.receive(
        furniture(), alias="unused", format=None, description="", actor=ROOT
    )
    await life.done(unused)
    for name in (*BYSTANDERS, "web", "frozen", "asleep"):
        await life.launch(name)
    await life.launch("idle", starts=False)
    await life.done(await life.instances.pause("quiet", ROOT))
    await life.done(await life.instances.pause("frozen", ROOT))
    await life.done(await life.instances.suspend("asleep", ROOT))
    await life.done(await resources.pools.create(PoolCreate(name="spare", driver="fake"), ROOT))
    await life.done(await resources.networks.create(NetworkCreate(name="extra"), ROOT))
    volume = VolumeCreate(name="data", pool="default", size_bytes=MIB)
    await life.done(await resources.volumes.create(volume, ROOT))


async def furniture() -> AsyncIterator[bytes]:
    yield empty_qcow2(16 * MIB, serial=8)


@dataclass
class Street:
    """A furnished house, and what it looked like."""

    house: House
    before: dict[str, Any]
    guests: list[Any]
    kinds: set[str]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("deaths")
    folder.chmod(0o711)
    with mounted_tmpfs(folder / "fs", size_bytes=1024 * MIB) as root:
        house = House(root / "house")

        async def make() -> Street:
            async with image_server() as web, house.life() as life:
                await furnish(life, web)
                await life.quiet()
                assert await wrongs(life) == []
                guests = [guest_of(life, name) for name in BYSTANDERS]
                kinds = set(life.parts.engine._kinds)
                return Street(house, facts(life), guests, kinds)

        made = asyncio.run(make())
        house.keep("furnished")
        yield made


@dataclass
class Outcome:
    """How the task of one life ended, and how the host looked afterwards."""

    name: str
    points: list[Point]
    state: TaskState | None
    facts: dict[str, Any]
    wrongs: list[str]
    error: Any = None

    @property
    def allowed(self) -> list[str]:
        """What may be left when a task did not succeed."""
        if self.state is TaskState.DONE:
            return []
        kept = ("/.downloads/", "/.uploads/")  # for the next attempt; swept by the next daemon
        falls = ["web: wanted running, seen stopped"] * (self.name == "instance.settle")
        return [c for c in self.wrongs if any(folder in c for folder in kept)] + falls


@dataclass
class Trial:
    """One furnished house in which one task meets one mishap."""

    street: Street
    name: str

    def run(self, at: Callable[[Life, Point], None] = nothing) -> Outcome:
        return asyncio.run(self._run(at))

    def repeat(self, points: list[Point]) -> Outcome:
        """Ask again in the house as the last trial left it."""

        async def again() -> Outcome:
            async with image_server() as web, self.street.house.life() as life:
                await life.quiet()
                return await self._look(life, await self._ask(life, web), points)

        return asyncio.run(again())

    async def _run(self, at: Callable[[Life, Point], None]) -> Outcome:
        self.street.house.bring_back("furnished")
        async with image_server() as web:
            web.pages["/disk"] = Page(DISK)
            async with self.street.house.life(at) as life:
                task = await self._ask(life, web)
                points = list(life.points)
                if not life.died.is_set():
                    return await self._look(life, task, points)
            async with self.street.house.life() as later:
                await later.quiet()
                return await self._look(later, task, points)

    async def _ask(self, life: Life, web: ImageServer) -> Task | None:
        life.is_watching = True
        asking = asyncio.ensure_future(_await(SCENARIOS[self.name](life, web)))
        await life._until(asking.done)
        if not asking.done():
            asking.cancel()
            await asyncio.wait([asking])
            return None
        if asking.exception() is not None:
            # Refused, or gone with the daemon, before there was a task.
            return None
        task = asking.result()
        if task is None:
            task = next((t for t in life.tasks if t.kind == self.name.split()[0]), None)
        if task is not None and not life.died.is_set():
            await life.ended(task)
        life.is_watching = life.died.is_set()
        if not life.died.is_set():
            await life.quiet()
        return task

    async def _look(self, life: Life, task: Task | None, points: list[Point]) -> Outcome:
        kind = self.name.split()[0]
        mine = [t for t in life.tasks if t.kind == kind and t.created_at > 1.8e9 + 2 * 7200]
        found = await wrongs(life)
        if found:  # a network that could not be told its leases is told them a little later
            await life.let_pass(400)
            found = await wrongs(life)
        found += [f"{n} was disturbed" for n, g in zip(BYSTANDERS, self.street.guests, strict=True)
                  if guest_of(life, n) != g]  # fmt: skip
        if task is not None and task.id not in {t.id for t in life.tasks}:
            found.append("the task was lost")
        state = mine[0].state if mine else None  # the newest is first
        return Outcome(
            self.name, points, state, facts(life), found, mine[0].error if mine else None
        )


async def _await(work: Awaitable[Task | None]) -> Task | None:
    return await work


def once(wanted: Point, act: Callable[[Life], None]) -> Callable[[Life, Point], None]:
    def at(life: Life, point: Point) -> None:
        if point == wanted:
            act(life)

    return at


def calls_a_driver(point: str) -> bool:
    """Looking is left out: by contract it tells of trouble and raises none."""
    return "/" not in point and not point.endswith(".observe")


def fail(_life: Life) -> None:
    raise BrokenError("it was told to")


def cancel(life: Life) -> None:
    for task in life.tasks:
        if not task.state.is_final:
            life.cancelling = asyncio.ensure_future(  # type: ignore[attr-defined]
                life.parts.engine.cancel(task.id, ROOT)
            )


def all_or_nothing(street: Street, whole: Outcome, seen: Outcome) -> list[str]:
    """What is wrong when one trial's outcome is neither all nor nothing."""
    wrong = [claim for claim in seen.wrongs if claim not in seen.allowed]
    if seen.state is TaskState.DONE:
        allowed = [whole.facts]
    else:
        allowed = [street.before, *after_failure(street, whole)]
    if seen.facts not in allowed:
        told = differences(allowed[-1], seen.facts)
        wrong.append(f"task {seen.state} ({seen.error}), but {told}")
    return wrong


def after_failure(street: Street, whole: Outcome) -> list[dict[str, Any]]:
    """What else may be left of a task that did not succeed, because guests have no undo."""
    if whole.name.startswith("instance.suspend"):
        return [whole.facts]  # its memory was saved, but ending it failed: the rest was made up for
    web = {
        "instance.settle": {"state": "error"},  # it should run, does not, and nobody tries again
        "instance.restart": {"state": "stopped", "wanted": "stopped"},
    }.get(whole.name)
    if web is None:
        return []
    instances = street.before["instances"]
    changed = {**street.before, "instances": {**instances, "web": {**instances["web"], **web}}}
    return [changed]


def differences(wanted: Any, seen: Any, path: str = "") -> list[str]:
    if isinstance(wanted, dict) and isinstance(seen, dict):
        keys = sorted({*wanted, *seen})
        return [d for k in keys for d in differences(wanted.get(k), seen.get(k), f"{path}/{k}")]
    return [] if wanted == seen else [f"{path}: {seen}, not {wanted}"]


def walk(trial: Trial, act: Callable[[Life], None], choose: Callable[[str], bool]) -> Outcome:
    """Let something happen at every chosen point of one task, each in a house of its own."""
    whole = trial.run()
    assert whole.state is TaskState.DONE, whole.error
    assert whole.wrongs == []
    assert whole.facts != trial.street.before or trial.name in UNSEEN
    failures = {}
    for point in whole.points:
        if choose(point[0]):
            seen = trial.run(once(point, act))
            if is_unfinished(seen):
                seen = trial.repeat(points=seen.points)
            if wrong := all_or_nothing(trial.street, whole, seen):
                failures[point] = wrong
    assert not failures, "".join(f"\n{point}: {wrong}" for point, wrong in failures.items())
    return whole


def is_unfinished(seen: Outcome) -> bool:
    return seen.name in REPEATED and "unfinished" in (seen.error or {}).get("details", {})


REPEATED = {name for name in SCENARIOS if ".delete" in name or ".remove" in name}
"""What was not removed to the end can be removed again."""

UNSEEN = {"instance.settle", "instance.reset", "instance.restart"}
"""Afterwards everything is as it was."""


def test_every_kind_of_task_has_a_scenario(street: Street) -> None:
    assert street.kinds == {name.split()[0] for name in SCENARIOS}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_daemon_that_dies_anywhere_leaves_all_or_nothing(street: Street, name: str) -> None:
    walk(Trial(street, name), Life.die, lambda _point: True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_driver_that_fails_anywhere_leaves_nothing_behind(street: Street, name: str) -> None:
    walk(Trial(street, name), fail, calls_a_driver)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_task_cancelled_anywhere_leaves_all_or_nothing(street: Street, name: str) -> None:
    walk(Trial(street, name), cancel, lambda point: not point.startswith("store/"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_daemon_that_dies_while_it_undoes_is_followed_by_one_that_goes_on(
    street: Street, name: str
) -> None:
    trial = Trial(street, name)
    whole = trial.run()
    loops = (".room", ".status")  # the daemon's loops look too, whenever they like
    calls = [p for p in whole.points if calls_a_driver(p[0]) and not p[0].endswith(loops)]
    if not calls:
        return  # no driver takes part, so nothing of it fails; the store is another test's
    breaks = calls[-1]
    broken = trial.run(once(breaks, fail))
    failures = {}
    for dies in broken.points[broken.points.index(breaks) + 1 :]:

        def at(life: Life, point: Point, dies: Point = dies) -> None:
            if point == dies:
                life.die()
            elif point == breaks:
                fail(life)

        seen = trial.run(at)
        if is_unfinished(seen):
            seen = trial.repeat(points=seen.points)
        if wrong := all_or_nothing(street, whole, seen):
            failures[dies] = wrong
    assert not failures, "".join(f"\n{point}: {wrong}" for point, wrong in failures.items())
