import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.kube.rate import TokenBucket


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def a_bucket(clock: Clock, *, per_second: float = 10, burst: int = 5) -> TokenBucket:
    return TokenBucket(per_second=per_second, burst=burst, clock=clock)


def test_a_burst_passes_at_once_and_what_follows_waits_its_turn() -> None:
    bucket = a_bucket(Clock())
    assert [bucket.reserve() for _ in range(5)] == [0.0] * 5
    assert [bucket.reserve() for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_time_that_passes_fills_the_bucket_up_to_the_burst() -> None:
    clock = Clock()
    bucket = a_bucket(clock)
    for _ in range(5):
        bucket.reserve()
    clock.seconds += 0.2
    assert [bucket.reserve() for _ in range(3)] == pytest.approx([0.0, 0.0, 0.1])
    clock.seconds += 3600
    assert [bucket.reserve() for _ in range(6)] == pytest.approx([0.0] * 5 + [0.1])


def test_credit_is_paid_back() -> None:
    clock = Clock()
    bucket = a_bucket(clock, per_second=1, burst=1)
    assert [bucket.reserve() for _ in range(3)] == pytest.approx([0.0, 1.0, 2.0])
    clock.seconds += 3
    assert bucket.reserve() == pytest.approx(0.0)
    assert bucket.reserve() == pytest.approx(1.0)


@given(
    waits=st.lists(st.floats(0, 0.5), min_size=1, max_size=60),
    per_second=st.sampled_from((1.0, 7.0, 500.0)),
    burst=st.integers(1, 20),
)
def test_in_no_span_of_time_do_more_requests_pass_than_the_rate_allows(
    waits: list[float], per_second: float, burst: int
) -> None:
    clock = Clock()
    bucket = a_bucket(clock, per_second=per_second, burst=burst)
    passed = []
    for wait in waits:
        clock.seconds += wait
        passed.append(clock.seconds + bucket.reserve())
    assert passed == sorted(passed)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            span = passed[last] - passed[first]
            assert last - first + 1 <= burst + span * per_second + 1e-6
