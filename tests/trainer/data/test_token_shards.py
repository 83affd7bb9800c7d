from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightgpt.data.shards import Shard, ShardWriter, TokenSequence, open_shards, token_dtype
from runcontract.faults import DataFault


def written(
    folder: Path, *blocks: list[int], tokens_per_shard: int = 10, vocab_size: int = 1000
) -> tuple[Shard, ...]:
    writer = ShardWriter(
        folder, "training", vocab_size=vocab_size, tokens_per_shard=tokens_per_shard
    )
    for block in blocks:
        writer.write(np.array(block, dtype=np.int64))
    return writer.close()


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(0, 999), max_size=30), max_size=6),
    st.integers(1, 12),
)
def test_what_was_written_is_read_back_over_any_number_of_shards(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[int]], tokens_per_shard: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    shards = written(folder, *blocks, tokens_per_shard=tokens_per_shard)
    tokens = open_shards(folder, shards, vocab_size=1000, verify=True)
    expected = [token for block in blocks for token in block]
    assert len(tokens) == len(expected)
    assert tokens[:].tolist() == expected
    assert all(shard.tokens == tokens_per_shard for shard in shards[:-1])


@given(st.data())
def test_windows_are_gathered_over_the_edges_of_shards(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=5))
    whole = np.arange(sum(lengths))
    cuts = np.cumsum(lengths)[:-1]
    tokens = TokenSequence([part.astype("<u2") for part in np.split(whole, cuts)])
    length = data.draw(st.integers(0, len(whole)))
    starts = data.draw(st.lists(st.integers(0, len(whole) - length), max_size=6))
    found = tokens.gather(np.array(starts, dtype=np.int64), length)
    assert found.dtype == np.int64
    assert found.tolist() == [list(range(start, start + length)) for start in starts]
    part = data.draw(st.slices(len(whole)).filter(lambda part: part.step in {None, 1}))
    assert tokens[part].tolist() == whole[part].tolist()


def test_tokens_cannot_be_read_with_gaps() -> None:
    with pytest.raises(ValueError, match="without gaps"):
        TokenSequence([np.arange(5, dtype="<u2")])[::2]


@pytest.mark.parametrize(
    ("vocab_size", "bytes_each"), [(8, 2), (65_536, 2), (65_537, 4), (262_144, 4)]
)
def test_a_token_takes_two_bytes_where_they_suffice(
    tmp_path: Path, vocab_size: int, bytes_each: int
) -> None:
    assert token_dtype(vocab_size).itemsize == bytes_each
    shards = written(tmp_path, [vocab_size - 1, 0], vocab_size=vocab_size)
    assert (tmp_path / shards[0].file).stat().st_size == 2 * bytes_each
    tokens = open_shards(tmp_path, shards, vocab_size=vocab_size, verify=True)
    assert tokens[:].tolist() == [vocab_size - 1, 0]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    shards = written(tmp_path, list(range(25)))
    (tmp_path / "training-00001.bin").unlink()
    with pytest.raises(DataFault, match=r"training-00001\.bin: found No such file"):
        open_shards(tmp_path, shards, vocab_size=1000, verify=False)


@pytest.mark.parametrize("size_bytes", [0, 19, 21])
def test_a_shard_of_another_size_is_named_with_both_sizes(tmp_path: Path, size_bytes: int) -> None:
    shards = written(tmp_path, list(range(25)))
    (tmp_path / "training-00001.bin").write_bytes(b"x" * size_bytes)
    with pytest.raises(
        DataFault, match=rf"00001\.bin: found {size_bytes} bytes; expected 20 bytes"
    ):
        open_shards(tmp_path, shards, vocab_size=1000, verify=False)


def test_a_shard_with_a_flipped_bit_is_found_when_hashes_are_asked_for(tmp_path: Path) -> None:
    shards = written(tmp_path, list(range(25)))
    path = tmp_path / "training-00001.bin"
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    open_shards(tmp_path, shards, vocab_size=1000, verify=False)
    with pytest.raises(DataFault, match=r"training-00001\.bin: found SHA-256"):
        open_shards(tmp_path, shards, vocab_size=1000, verify=True)


def test_the_mapped_tokens_cannot_be_changed(tmp_path: Path) -> None:
    tokens = open_shards(tmp_path, written(tmp_path, [1, 2]), vocab_size=1000, verify=True)
    with pytest.raises(ValueError, match="read-only"):
        tokens._arrays[0][0] = 5
