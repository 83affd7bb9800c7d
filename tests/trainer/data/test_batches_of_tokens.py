import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightgpt.data.batches import NOT_SCORED, batch, evaluation_windows
from lightgpt.data.prepared import TextPart
from lightgpt.data.shards import TokenSequence


def sequence(tokens: int) -> TokenSequence:
    # Numbered from 1, so that padding cannot be taken for a token.
    return TokenSequence([np.arange(1, tokens + 1, dtype="<u2")])


def part(tokens: int) -> TextPart:
    return TextPart(tokens=sequence(tokens), characters=tokens, bytes_=tokens)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 30))
def test_each_target_is_the_token_behind_its_input(offsets: list[int], length: int) -> None:
    inputs, targets = batch(sequence(100), np.array(offsets), length)
    assert inputs.shape == targets.shape == (len(offsets), length)
    assert inputs[:, 0].tolist() == [offset + 1 for offset in offsets]
    assert (targets == inputs + 1).all()
    assert inputs.dtype == targets.dtype == np.int64
    assert inputs.flags.c_contiguous
    assert targets.flags.c_contiguous


@given(st.integers(2, 200), st.integers(1, 17), st.integers(1, 5))
def test_evaluation_scores_every_token_but_the_first_exactly_once(
    tokens: int, length: int, batch_size: int
) -> None:
    scored: list[int] = []
    for inputs, targets in evaluation_windows(part(tokens), length, batch_size):
        assert inputs.shape == targets.shape == (batch_size, length)
        here = targets != NOT_SCORED
        assert (targets[here] == inputs[here] + 1).all()
        assert (inputs[~here] == 0).all()
        scored += targets[here].tolist()
    assert scored == list(range(2, tokens + 1))


@pytest.mark.parametrize("tokens", [0, 1])
def test_nothing_is_scored_where_nothing_can_be(tokens: int) -> None:
    assert list(evaluation_windows(part(tokens), 4, 2)) == []
