from typing import Any

import pytest

from lightcompute.kube.troubles import newest_warning
from support.kube_builders import clock

QUOTA = 'pods "baseline-1-trainer-0-{suffix}" is forbidden: exceeded quota: gpus, used: 4'


def warning(message: str, *, seconds: float = 0, **more: Any) -> dict[str, Any]:
    return {
        "type": "Warning",
        "reason": "FailedCreate",
        "message": message,
        "lastTimestamp": clock(seconds),
    } | more


def test_where_nothing_is_wrong_nothing_is_told() -> None:
    assert newest_warning([]) == ""
    assert newest_warning([warning("all is well", type="Normal")]) == ""


def test_the_newest_warning_is_told() -> None:
    events = [warning("second", seconds=2), warning("first", seconds=1)]
    assert newest_warning(events) == "FailedCreate: second"
    assert newest_warning(events[::-1]) == "FailedCreate: second"


@pytest.mark.parametrize(
    "when",
    [
        {"series": {"lastObservedTime": clock(9)}},
        {"lastTimestamp": None, "eventTime": clock(9)},
        {"lastTimestamp": None, "firstTimestamp": clock(9)},
    ],
)
def test_an_event_may_have_its_time_in_any_of_four_places(when: dict[str, Any]) -> None:
    events = [warning("newer", **when), warning("older", seconds=5)]
    assert newest_warning(events) == "FailedCreate: newer"


def test_the_words_are_the_same_at_each_try() -> None:
    """They go into the status: what differs from try to try would be a write at each."""
    tries = {
        newest_warning([warning(f"Error creating: {QUOTA.format(suffix=suffix)}")])
        for suffix in ("x7k2p", "abcde", "00000")
    }
    assert tries == {f"FailedCreate: Error creating: {QUOTA.replace('-{suffix}', '')}"}
    combined = newest_warning([warning("(combined from similar events): no such volume")])
    assert combined == "FailedCreate: no such volume"


def test_a_pods_own_name_is_left_alone() -> None:
    assert newest_warning([warning('pod "abc" is bad')]) == 'FailedCreate: pod "abc" is bad'


def test_an_event_without_words_does_no_harm() -> None:
    assert newest_warning([{"type": "Warning"}]) == "None: "
    assert len(newest_warning([warning("x" * 10_000)])) <= 400
