import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightgpt.data.sampler import WindowSampler, rank_slice
from runcontract.faults import ConfigurationFault, DataFault


@st.composite
def samplers(draw: st.DrawFn) -> WindowSampler:
    context_length = draw(st.integers(1, 12))
    return WindowSampler(
        tokens=context_length + draw(st.integers(1, 300)),
        context_length=context_length,
        batch_size=draw(st.integers(1, 40)),
        seed=draw(st.integers(0, 2**31 - 1)),
    )


def epoch(sampler: WindowSampler, number: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The starts of one epoch, gathered from the batches that read it."""
    first = number * sampler.windows_per_epoch // sampler.batch_size
    last = (number + 1) * sampler.windows_per_epoch // sampler.batch_size
    return np.concatenate(
        [
            starts
            for index in range(first, last + 1)
            for of, starts in sampler.windows(index)
            if of == number
        ]
    )


@given(samplers(), st.integers(0, 20))
def test_an_epoch_is_every_window_once_whatever_the_batch_size(
    sampler: WindowSampler, number: int
) -> None:
    starts = np.sort(epoch(sampler, number))
    length = sampler.context_length
    assert len(starts) == sampler.windows_per_epoch == (sampler.tokens - 1) // length
    # Side by side from a phase; only the last may overlap the one before it.
    assert 0 <= starts[0] < length
    assert (np.diff(starts[:-1]) == length).all()
    assert (np.diff(starts[-2:]) <= length).all()
    assert len(set(starts.tolist())) == len(starts)


@given(samplers(), st.integers(0, 500))
def test_every_window_and_its_last_target_lie_in_the_text(
    sampler: WindowSampler, index: int
) -> None:
    offsets = sampler.offsets(index)
    assert offsets.shape == (sampler.batch_size,)
    assert offsets.dtype == np.int64
    assert offsets.min() >= 0
    assert offsets.max() + sampler.context_length < sampler.tokens


@given(samplers(), st.lists(st.integers(0, 300), min_size=1, max_size=8))
def test_what_is_read_depends_on_the_index_only_and_not_on_what_was_read_before(
    sampler: WindowSampler, indices: list[int]
) -> None:
    for index in indices:
        fresh = WindowSampler(
            tokens=sampler.tokens,
            context_length=sampler.context_length,
            batch_size=sampler.batch_size,
            seed=sampler._seed,
        )
        assert fresh.offsets(index).tolist() == sampler.offsets(index).tolist()


def sampler_of(**keys: int) -> WindowSampler:
    return WindowSampler(
        **({"tokens": 10_000, "context_length": 16, "batch_size": 8, "seed": 1} | keys)
    )


def test_the_draws_are_these_on_every_machine_and_with_every_version_of_numpy() -> None:
    # Another outcome here means that a resumed run reads another text than it would have.
    assert sampler_of().offsets(3).tolist() == [298, 2810, 8970, 8250, 2010, 3338, 2986, 7306]


def test_another_seed_and_another_epoch_read_in_another_order() -> None:
    first = epoch(sampler_of(), 0)
    assert epoch(sampler_of(seed=2), 0).tolist() != first.tolist()
    assert epoch(sampler_of(), 1).tolist() != first.tolist()


def test_the_phase_moves_from_epoch_to_epoch() -> None:
    phases = {int(epoch(sampler_of(), number).min()) for number in range(40)}
    assert len(phases) > 10


def test_every_token_is_read_about_once_an_epoch() -> None:
    sampler = sampler_of(tokens=1_003)
    read = np.zeros(sampler.tokens, dtype=np.int64)
    for number in range(200):
        for start in epoch(sampler, number):
            read[start : start + sampler.context_length] += 1
    # The edges are left out by some phases, and no token by all.
    assert (read[16:-32] == 200).all()
    assert read[:-1].min() > 0
    assert read.max() <= 400


def test_the_order_is_shuffled_evenly() -> None:
    # Where the first window of the text stands in the epoch, over many epochs: about the middle on average.
    places = [int(np.argmin(epoch(sampler_of(tokens=2_000), number))) for number in range(300)]
    assert np.mean(places) == pytest.approx(124 / 2, abs=8)


def test_a_text_smaller_than_a_batch_fills_it_from_several_epochs() -> None:
    sampler = sampler_of(tokens=17, batch_size=5)
    assert sampler.windows_per_epoch == 1
    assert [number for number, _ in sampler.windows(1)] == [5, 6, 7, 8, 9]
    assert sampler.offsets(0).tolist() == [0] * 5


def test_steps_per_epoch_are_rounded_up_and_epochs_of_steps_only_once() -> None:
    sampler = sampler_of(tokens=16 * 100 + 1, batch_size=8)
    assert sampler.windows_per_epoch == 100
    assert (sampler.steps_per_epoch(1), sampler.steps_per_epoch(2)) == (13, 7)
    assert (sampler.steps_for_epochs(2), sampler.steps_for_epochs(4, 2)) == (25, 25)
    assert sampler.epoch_of(0) == 0
    assert sampler.epoch_of(25) == 2.0


def test_a_text_that_is_no_longer_than_the_context_is_refused() -> None:
    with pytest.raises(DataFault, match=r"training\.model\.contextLength: found 16, and 16 tokens"):
        sampler_of(tokens=16)
    assert sampler_of(tokens=17).offsets(0).tolist() == [0] * 8


@given(st.integers(1, 6), st.integers(1, 6))
def test_the_processes_share_a_batch_in_contiguous_parts_that_make_it_whole(
    share: int, world_size: int
) -> None:
    batch_size = share * world_size
    offsets = sampler_of(batch_size=batch_size).offsets(2)
    parts = [
        offsets[rank_slice(batch_size, rank=rank, world_size=world_size)]
        for rank in range(world_size)
    ]
    assert [len(part) for part in parts] == [share] * world_size
    assert np.concatenate(parts).tolist() == offsets.tolist()


def test_a_batch_that_the_processes_cannot_share_is_refused() -> None:
    with pytest.raises(ConfigurationFault, match=r"training\.batchSize: found 8; .* 3 processes"):
        rank_slice(8, rank=0, world_size=3)
