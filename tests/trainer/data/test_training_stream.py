from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightgpt.data.prepared import PreparedData, prepare
from lightgpt.data.sampler import rank_slice
from lightgpt.data.stream import TrainingStream
from runcontract.faults import DataFault
from runcontract.order import Training
from support.texts import play, training, write_text

TEXT = play(lines=600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    write_text(folder, TEXT)
    return folder


def stream_of(folder: Path, **keys: Any) -> tuple[TrainingStream, PreparedData, Training]:
    of = training(**({"batchSize": 6} | keys))
    data = prepare(of, base_folder=folder, cache_folder=folder, variables={})
    return TrainingStream(data, of), data, of


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_targets_follow_inputs_and_shapes_are_those_of_the_training(
    folder: Path, share: float
) -> None:
    stream, data, _ = stream_of(folder, subwordDropout=share)
    for index in (0, 7, 500):
        inputs, targets = stream.batch(index)
        assert inputs.shape == targets.shape == (6, 8)
        assert (inputs[:, 1:] == targets[:, :-1]).all()
        assert inputs.max() < data.tokenizer.vocab_size


@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize("world_size", [2, 3])
def test_the_processes_together_read_the_batch_of_one(
    folder: Path, share: float, world_size: int
) -> None:
    stream, _, _ = stream_of(folder, subwordDropout=share)
    last = stream.sampler.windows_per_epoch // 6  # reaches over the end of the epoch
    for index in (0, last):
        whole = stream.batch(index)
        parts = [
            stream.batch(index, rank_slice(6, rank=rank, world_size=world_size))
            for rank in range(world_size)
        ]
        for side in (0, 1):
            assert np.concatenate([part[side] for part in parts]).tolist() == whole[side].tolist()


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_fresh_stream_goes_on_where_another_stopped(folder: Path, share: float) -> None:
    stream, _, _ = stream_of(folder, subwordDropout=share)
    per_epoch = stream.sampler.windows_per_epoch // 6
    seen = {index: stream.batch(index) for index in range(0, 4 * per_epoch, 37)}
    for index in list(seen)[::3]:
        fresh, _, _ = stream_of(folder, subwordDropout=share)
        for side in (0, 1):
            assert fresh.batch(index)[side].tolist() == seen[index][side].tolist()


def test_without_dropout_the_batches_are_windows_of_the_training_part(folder: Path) -> None:
    stream, data, _ = stream_of(folder)
    offsets = stream.sampler.offsets(3)
    inputs, _ = stream.batch(3)
    assert inputs.tolist() == data.training.tokens.gather(offsets, 8).tolist()
    assert stream.epoch_tokens(5) is data.training.tokens


def test_with_dropout_each_epoch_is_the_same_text_in_other_tokens(folder: Path) -> None:
    stream, data, _ = stream_of(folder, subwordDropout=0.2)
    plain = data.training.tokens[:].tolist()
    text = data.tokenizer.decode(plain)
    epochs = [stream.epoch_tokens(epoch)[:].tolist() for epoch in range(4)]
    assert [data.tokenizer.decode(tokens) for tokens in epochs] == [text] * 4
    assert all(len(tokens) > len(plain) for tokens in epochs)
    assert len({tuple(tokens) for tokens in epochs}) == 4


def test_with_dropout_an_epoch_reads_nearly_all_of_its_text(folder: Path) -> None:
    stream, _, _ = stream_of(folder, subwordDropout=0.2)
    windows = stream.sampler.windows_per_epoch
    for epoch in range(4):
        tokens = len(stream.epoch_tokens(epoch))
        assert windows * 8 == pytest.approx(tokens, rel=0.02)


def test_windows_fit_into_an_epoch_that_came_out_shorter_or_longer(folder: Path) -> None:
    stream, _, _ = stream_of(folder, subwordDropout=0.2)
    starts = np.array([0, stream.sampler.tokens - 9])
    for tokens in (stream.sampler.tokens - 50, stream.sampler.tokens + 50):
        fitted = stream._fitted(starts, tokens)
        assert fitted.min() >= 0
        assert fitted.max() + 8 < tokens


def test_only_bpe_can_leave_merges_out(folder: Path) -> None:
    _, data, _ = stream_of(folder, tokenizer={"type": "Unigram", "vocabSize": 100})
    data.tokenizer.save(folder)
    with pytest.raises(
        DataFault, match=r"subwordDropout: found 0\.1 with a tokenizer of type Unigram"
    ):
        stream_of(folder, tokenizer={"path": "tokenizer.model"}, subwordDropout=0.1)


def test_a_dropout_that_changes_over_the_run_leaves_out_less_each_epoch(folder: Path) -> None:
    stream, data, _ = stream_of(folder, subwordDropout=0.4, subwordDropoutFinal=0.0)
    epochs = 4
    stream.runs_for(epochs * stream.sampler.windows_per_epoch // 6)
    lengths = [len(stream.epoch_tokens(epoch)) for epoch in range(epochs + 1)]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == epochs + 1
    assert stream.epoch_tokens(epochs)[:].tolist() == data.training.tokens[:].tolist()


def test_a_dropout_may_begin_at_nothing_and_end_at_something(folder: Path) -> None:
    stream, data, _ = stream_of(folder, subwordDropoutFinal=0.4)
    stream.runs_for(2 * stream.sampler.windows_per_epoch // 6)
    assert stream.epoch_tokens(0)[:].tolist() == data.training.tokens[:].tolist()
    assert len(stream.epoch_tokens(1)) > len(data.training.tokens)


def test_an_epoch_that_dropout_makes_shorter_is_still_read_evenly(folder: Path) -> None:
    stream, _, _ = stream_of(folder, subwordDropout=0.3, subwordDropoutFinal=0.01)
    per_epoch = stream.sampler.windows_per_epoch
    stream.runs_for(6 * per_epoch // 6)
    first, last = len(stream.epoch_tokens(0)), len(stream.epoch_tokens(5))
    assert last < 0.9 * first
    starts = stream.epoch_starts(5)
    assert len(starts) == per_epoch
    assert len(set(starts.tolist())) == per_epoch, "no window is read twice"
    gaps = np.diff(np.sort(starts))
    assert gaps.max() <= 8, "no token of the text is left out between two windows"
    assert starts.max() + 8 + 1 <= last


def test_windows_that_do_not_fit_a_shorter_epoch_are_spread_over_it(folder: Path) -> None:
    stream, _, _ = stream_of(folder, subwordDropout=0.6, subwordDropoutFinal=0.0)
    epochs = 3
    passes = epochs * stream.sampler.windows_per_epoch // 6
    stream.runs_for(passes)
    late = range(2 * passes // epochs + 1, passes)
    windows = [row.tobytes() for index in late for row in stream.batch(index)[0]]
    repeated = max(windows.count(window) for window in set(windows))
    assert repeated <= len(windows) // 20
