"""One description of each endpoint, three ways to call it.

A group (``Instances``) describes its endpoints once, as methods that build a ``Call``. Which face
a group shows depends on its door: ``Sync`` gives the answer, ``Async`` gives a coroutine of it,
``Plain`` gives the answer as plain JSON values without loading the models. The return annotation
``Call[InstanceView]`` is the one place that says what the answer is: mypy reads it for the caller
and the door reads it to decode.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterator,
)
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from lodge.client.call import Call
from lodge.client.errors import AnswerBrokenError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from lodge.client.channel import AsyncChannel, Channel
    from lodge.client.subscription import Subscription
    from lodge.model.answers import Page

__all__ = [
    "Async",
    "ChannelEndpoint",
    "Door",
    "DownloadEndpoint",
    "Endpoint",
    "Flow",
    "FlowEndpoint",
    "Group",
    "ListEndpoint",
    "Pause",
    "Plain",
    "SubscriptionEndpoint",
    "Sync",
    "answer_text",
]

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")


class Sync:
    """Mark of groups whose methods give the answer."""


class Async:
    """Mark of groups whose methods give a coroutine of the answer."""


class Plain:
    """Mark of groups whose methods give the answer as plain JSON values."""


class Pause:
    """What a flow yields to wait a moment."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


Flow = Generator[tuple[Call[Any], str] | Pause, Any, T]
"""Several calls in a row, written once; yields a call with its answer's type, or a pause."""


class Door(Protocol):
    """What carries out calls; every method gives a value, a coroutine or an iterator of it."""

    def send(self, call: Call[Any], answer: str, /) -> Any:
        """Send one call and decode its answer as the type of that name."""
        ...

    def run(self, flow: Flow[Any], /) -> Any:
        """Carry out a flow."""
        ...

    def download(self, call: Call[Any], /) -> Any:
        """Send one call and hand out its answer piece by piece."""
        ...

    def subscribe(self, subscription: Subscription[Any], /) -> Any:
        """Follow a stream of events, over broken connections too."""
        ...

    def open(self, call: Call[Any], /) -> Any:
        """Open a WebSocket."""
        ...


class Group(Generic[D]):
    """Endpoints of one noun behind one door."""

    __slots__ = ("door",)

    def __init__(self, door: Door) -> None:
        self.door = door


def answer_text(build: Callable[..., Any]) -> str:
    """Return what stands between the brackets of ``-> Call[...]``."""
    text = str(build.__annotations__["return"])
    return text[text.index("[") + 1 : text.rindex("]")]


class _Described(Generic[P]):
    """What all kinds of endpoint share: the function that describes them."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build
        self.answer = answer_text(build)
        self.__doc__ = build.__doc__
        self.__name__ = build.__name__

    def _bind(self, group: Group[Any], act: Callable[[Any], Any]) -> Callable[..., Any]:
        def bound(*args: Any, **kwargs: Any) -> Any:
            return act(self.build(group, *args, **kwargs))

        bound.__name__, bound.__doc__ = self.__name__, self.__doc__
        bound.__wrapped__ = self.build  # type: ignore[attr-defined]  # inspect.signature reads it
        return bound


class Endpoint(_Described[P], Generic[P, T]):
    """A method that sends one call."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[T]]) -> None:
        super().__init__(build)

    @overload
    def __get__(self, group: None, _owner: type) -> Endpoint[P, T]: ...
    @overload
    def __get__(self, group: Group[Sync], _owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, group: Group[Async], _owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, group: Group[Plain], _owner: type) -> Callable[P, Any]: ...
    def __get__(self, group: Group[Any] | None, _owner: type) -> Any:
        """Bind to a group's door."""
        if group is None:
            return self
        return self._bind(group, lambda call: group.door.send(call, self.answer))


class ListEndpoint(_Described[P], Generic[P, T]):
    """A method that lists: all pages are fetched and joined, unless ``limit`` was asked for."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[Page[T]]]) -> None:
        super().__init__(build)

    @overload
    def __get__(self, group: None, _owner: type) -> ListEndpoint[P, T]: ...
    @overload
    def __get__(self, group: Group[Sync], _owner: type) -> Callable[P, Page[T]]: ...
    @overload
    def __get__(
        self, group: Group[Async], _owner: type
    ) -> Callable[P, Coroutine[Any, Any, Page[T]]]: ...
    @overload
    def __get__(self, group: Group[Plain], _owner: type) -> Callable[P, Any]: ...
    def __get__(self, group: Group[Any] | None, _owner: type) -> Any:
        """Bind to a group's door."""
        if group is None:
            return self
        return self._bind(group, lambda call: group.door.run(_all_pages(call, self.answer)))


class FlowEndpoint(_Described[P], Generic[P, T]):
    """A method that needs several calls."""

    def __init__(self, build: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        super().__init__(build)

    @overload
    def __get__(self, group: None, _owner: type) -> FlowEndpoint[P, T]: ...
    @overload
    def __get__(self, group: Group[Sync], _owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, group: Group[Async], _owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, group: Group[Plain], _owner: type) -> Callable[P, Any]: ...
    def __get__(self, group: Group[Any] | None, _owner: type) -> Any:
        """Bind to a group's door."""
        if group is None:
            return self
        return self._bind(group, group.door.run)


class DownloadEndpoint(_Described[P]):
    """A method whose answer is bytes, handed out piece by piece as they arrive."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[bytes]]) -> None:
        super().__init__(build)

    @overload
    def __get__(self, group: None, _owner: type) -> DownloadEndpoint[P]: ...
    @overload
    def __get__(self, group: Group[Sync], _owner: type) -> Callable[P, Iterator[bytes]]: ...
    @overload
    def __get__(self, group: Group[Async], _owner: type) -> Callable[P, AsyncIterator[bytes]]: ...
    @overload
    def __get__(self, group: Group[Plain], _owner: type) -> Callable[P, Iterator[bytes]]: ...
    def __get__(self, group: Group[Any] | None, _owner: type) -> Any:
        """Bind to a group's door."""
        return self if group is None else self._bind(group, group.door.download)


class SubscriptionEndpoint(_Described[P], Generic[P, T]):
    """A method that follows a stream for as long as somebody reads it."""

    def __init__(self, build: Callable[Concatenate[Any, P], Subscription[T]]) -> None:
        super().__init__(build)

    @overload
    def __get__(self, group: None, _owner: type) -> SubscriptionEndpoint[P, T]: ...
    @overload
    def __get__(self, group: Group[Sync], _owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, group: Group[Async], _owner: type) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, group: Group[Plain], _owner: type) -> Callable[P, Iterator[Any]]: ...
    def __get__(self, group: Group[Any] | None, _owner: type) -> Any:
        """Bind to a group's door."""
        return self if group is None else self._bind(group, group.door.subscribe)


class ChannelEndpoint(_Described[P]):
    """A method that opens a two-way connection (a WebSocket), to be closed by ``with``."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[bytes]]) -> None:
        super().__init__(build)

    @overload
    def __get__(self, group: None, _owner: type) -> ChannelEndpoint[P]: ...
    @overload
    def __get__(
        self, group: Group[Sync], _owner: type
    ) -> Callable[P, AbstractContextManager[Channel]]: ...
    @overload
    def __get__(
        self, group: Group[Async], _owner: type
    ) -> Callable[P, AbstractAsyncContextManager[AsyncChannel]]: ...
    @overload
    def __get__(
        self, group: Group[Plain], _owner: type
    ) -> Callable[P, AbstractContextManager[Channel]]: ...
    def __get__(self, group: Group[Any] | None, _owner: type) -> Any:
        """Bind to a group's door."""
        return self if group is None else self._bind(group, group.door.open)


def _all_pages(call: Call[Any], answer: str) -> Flow[Any]:
    page = yield call, answer
    if isinstance(page, dict | list) and not isinstance(_part(page, "items"), list):
        raise AnswerBrokenError(f"the answer is not a {answer}")
    if "limit" in call.query:
        return page
    items = list(_part(page, "items"))
    following = _part(page, "next")
    while following:
        more = yield call.with_query(cursor=following), answer
        items.extend(_part(more, "items"))
        following = _part(more, "next")
    if isinstance(page, dict):
        return {**page, "items": items, "next": None}
    return type(page)(items=tuple(items), total=page.total, next=None, revision=page.revision)


def _part(page: Any, name: str) -> Any:
    return page.get(name) if isinstance(page, dict) else getattr(page, name, None)
