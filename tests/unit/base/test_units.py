"""Sizes: what is understood, what is refused, and that writing and reading agree."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.base.units import GIB, KIB, MIB, InvalidSizeError, format_size, parse_mib, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("512B", 512),
        ("4k", 4 * KIB),
        ("4 gib", 4 * GIB),
        ("4GiB", 4 * GIB),
        (" 1.5g ", 3 * GIB // 2),
        ("0.5MiB", MIB // 2),
        ("1T", 1024 * GIB),
    ],
)
def test_a_size_with_a_binary_unit_is_understood(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "G",
        "-1G",
        "+1G",
        "0",
        "0GiB",
        "1e3",
        "0x10",
        "1,5G",
        "1.5",
        "1 G B",
        "4 gigs",
        "²G",
        "1_000",
    ],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidSizeError) as refused:
        parse_size(text, where="disk")
    assert refused.value.where == "disk"
    assert refused.value.hint or "zero" in refused.value.message


def test_a_decimal_unit_is_refused_with_the_binary_one_as_a_hint() -> None:
    with pytest.raises(InvalidSizeError) as refused:
        parse_size("1.5GB")
    assert "1.5GiB" in refused.value.hint


def test_a_size_beyond_any_disk_is_refused() -> None:
    with pytest.raises(InvalidSizeError):
        parse_size("99999999T")


@given(st.integers(min_value=1, max_value=10**15 - 1))
def test_every_number_of_bytes_is_read_back(size: int) -> None:
    assert parse_size(str(size)) == size


@given(st.text(max_size=20))
def test_reading_any_text_gives_a_size_or_a_clear_refusal(text: str) -> None:
    with contextlib.suppress(InvalidSizeError):
        assert parse_size(text) > 0


@given(st.integers(min_value=0, max_value=2**60))
def test_a_written_size_is_short_and_near_the_truth(size: int) -> None:
    text = format_size(size)
    assert len(text) <= 9
    number, unit = text.split(" ")
    factor = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": 2**40, "PiB": 2**50}[unit]
    assert abs(float(number) * factor - size) <= 0.006 * size


def test_memory_may_be_written_as_bare_mib() -> None:
    assert parse_mib("512") == 512
    assert parse_mib("1.5G") == 1536


def test_memory_that_is_no_whole_number_of_mib_is_refused() -> None:
    with pytest.raises(InvalidSizeError, match="whole number of MiB"):
        parse_mib("100k")
