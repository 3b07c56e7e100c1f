"""Durations and rate limits as Infobip writes them."""

import pytest

from otp.durations import Rate, duration, seconds


@pytest.mark.parametrize(
    ("text", "expected"), [("10m", 600), ("h", 3600), ("1500ms", 1.5), ("2d", 172800), ("007s", 7), ("ms", 0.001)]
)
def test_valid_durations_are_read(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "10", "0s", "-1s", "1.5s", "1 m", "1w", "10M", "1s\n", "٣s", "9999999999s"])
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("length", "written"), [(600, "10m"), (3600, "1h"), (5400, "90m"), (86400, "1d"), (1.5, "1500ms"), (0.001, "1ms")]
)
def test_durations_are_written_in_the_longest_unit(length: float, written: str) -> None:
    assert duration(length) == written
    assert seconds(written) == length


def test_limits_are_read_and_written() -> None:
    assert Rate.parse("3/1d") == Rate(3, 86400) == Rate.parse("3/24h") == Rate.parse("3/d")
    assert str(Rate.parse("10/60s")) == "10/1m"


@pytest.mark.parametrize("text", ["", "3", "/1d", "3/", "a/1d", "-3/1d", "3/1d/1d", "3 per day", "3/0s"])
def test_invalid_limits_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("first", "second", "tighter"),
    [
        ("5/1d", "5/1d", False),
        ("4/1d", "5/1d", True),
        ("5/1h", "5/1d", False),
        ("4/1ms", "5/1d", True),
        ("5/25h", "5/1d", True),
        ("9/2d", "5/1d", True),
        ("10/2d", "5/1d", False),
        ("10/49h", "5/1d", True),
        ("15/49h", "5/1d", False),
        ("1/3s", "5/30s", True),
        ("5/3s", "5/30s", False),
    ],
)
def test_which_limits_are_tighter(first: str, second: str, tighter: bool) -> None:
    assert Rate.parse(first).is_tighter_than(Rate.parse(second)) is tighter
