"""HTTP/1.1 from bytes: every framing, and what is none."""

import io

import pytest

from lodge.client.errors import AnswerBrokenError, DaemonUnreachableError
from lodge.client.http1 import chunk, read_body, read_head, request_head

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def answer(text: bytes, method: str = "GET") -> tuple[int, bytes]:
    reader = io.BufferedReader(io.BytesIO(text))
    head = read_head(reader)
    return head.status, b"".join(read_body(reader, head, method))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, b"hi")),
        (b"HTTP/1.1 200\r\nCONTENT-LENGTH: 2\r\n\r\nhi and more", (200, b"hi")),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", (200, b"until the end")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, b"")),
        (
            CHUNKED + b"2\r\nhi\r\n3;a=b\r\n yo\r\n0\r\nX: y\r\n\r\n",
            (200, b"hi yo"),
        ),
    ],
)
def test_every_framing_gives_the_whole_body(text: bytes, expected: tuple[int, bytes]) -> None:
    assert answer(text) == expected


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    assert answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD") == (200, b"")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    ],
)
def test_a_connection_that_breaks_off_is_told_and_no_part_taken_for_the_whole(text: bytes) -> None:
    with pytest.raises(DaemonUnreachableError):
        answer(text)


@pytest.mark.parametrize(
    "text",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 70000,
    ],
)
def test_what_is_no_http_is_refused(text: bytes) -> None:
    with pytest.raises(AnswerBrokenError):
        answer(text)


def test_a_request_cannot_be_split_by_a_line_break_in_a_header() -> None:
    with pytest.raises(ValueError, match="line break"):
        request_head("GET", "/v1", {"Authorization": "Bearer a\r\nX: y"})


def test_a_piece_and_the_end_of_a_chunked_body_are_framed() -> None:
    assert chunk(b"x" * 17) + chunk(b"") == b"11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"
