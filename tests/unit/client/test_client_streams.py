"""Event streams in any pieces, exec frames, and where to go on after a break."""

import json

import pytest

from lodge.base.errors import NotFoundError
from lodge.client.call import Call
from lodge.client.errors import AnswerBrokenError, DaemonUnreachableError, RemoteDeniedError
from lodge.client.exec_frames import ExecStream, Outcome, opening_messages, read_message
from lodge.client.subscription import StreamParser, Subscription, stream_headers
from lodge.model.requests import ExecRequest

STREAM = (
    b'retry: 2000\n\n: still here\n\nid: 7\ndata: {"a":1}\n\n'
    b"event: compacted\r\ndata: {}\r\n\r\nid: 8\ndata: one\ndata: two\n\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_messages_are_the_same_in_whatever_pieces_they_arrive(size: int) -> None:
    parser = StreamParser()
    messages = [
        message
        for place in range(0, len(STREAM), size)
        for message in parser.feed(STREAM[place : place + size])
    ]
    assert [(m.kind, m.data, m.id) for m in messages] == [
        ("message", '{"a":1}', "7"),
        ("compacted", "{}", None),
        ("message", "one\ntwo", "8"),
    ]


def test_a_message_without_end_does_not_fill_the_memory() -> None:
    parser = StreamParser()
    for _ in range(15):
        parser.feed(b"data: " + b"x" * (1 << 20))
    with pytest.raises(AnswerBrokenError):
        parser.feed(b"x" * (2 << 20))


def test_heartbeats_of_many_hours_are_no_message_without_end() -> None:
    parser = StreamParser()
    beat = b": " + b"." * 1000 + b"\n\n"
    for _ in range(40_000):
        assert parser.feed(beat) == []


def subscription(since: str | None = None) -> Subscription[object]:
    return Subscription(
        lambda last: Call("GET", "/v1/events", headers=stream_headers(last)), "Event", since
    )


def test_a_stream_goes_on_behind_the_last_message_seen() -> None:
    following = subscription("5")
    assert following.call().headers["Last-Event-ID"] == "5"
    following.feed(STREAM)
    assert following.delay_s(None) == 0.2
    assert following.call().headers["Last-Event-ID"] == "8"


def test_a_stream_begins_from_now_on_without_an_id() -> None:
    assert "Last-Event-ID" not in subscription().call().headers


def test_delays_between_attempts_grow_and_end_with_the_first_message() -> None:
    following = subscription("5")
    gone = DaemonUnreachableError("away")
    assert [following.delay_s(gone) for _ in range(6)] == [0.2, 0.5, 1.0, 2.0, 5.0, 5.0]
    following.feed(STREAM)
    assert following.delay_s(gone) == 0.2


def test_a_refused_stream_is_not_asked_for_again() -> None:
    assert subscription("5").delay_s(RemoteDeniedError("no")) is None


def test_a_command_opens_with_its_request_and_ends_its_input() -> None:
    request = ExecRequest(command=("cat",))
    first, *rest = opening_messages(request, [b"ab", b"", b"x" * 70000])
    assert first[0] == ExecStream.CONTROL
    assert json.loads(first[1:])["command"] == ["cat"]
    assert [len(message) for message in rest] == [3, 65537, 4465, 1]
    assert {message[0] for message in rest} == {ExecStream.STDIN}


def test_outputs_and_the_end_of_a_command_are_told_apart() -> None:
    assert read_message(b"\x01out") == (ExecStream.STDOUT, b"out")
    assert read_message(b"\x02\x03") == (ExecStream.STDERR, b"\x03")
    outcome = read_message(b'\x03{"exit_status": 3, "signal": null, "is_truncated": true}')
    assert isinstance(outcome, Outcome)
    assert (outcome.exit_status, outcome.signal, outcome.is_truncated) == (3, None, True)


def test_a_command_that_could_not_run_raises_the_daemons_error() -> None:
    told = {"error": {"category": "not_found", "code": "x", "message": "no such file"}}
    with pytest.raises(NotFoundError, match="no such file"):
        read_message(b"\x03" + json.dumps(told).encode())


@pytest.mark.parametrize("message", [b"", b"\x09x", b"\x03nonsense", b"\x03[]"])
def test_messages_of_another_protocol_are_refused(message: bytes) -> None:
    with pytest.raises(AnswerBrokenError):
        read_message(message)
