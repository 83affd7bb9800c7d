import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightgpt.tokenizer import subword_dropout
from lightgpt.tokenizer.piece_training import train_pieces
from lightgpt.tokenizer.pieces import PieceTokenizer
from lightgpt.tokenizer.subword_dropout import SubwordDropout
from runcontract.order import Tokenizer
from support.texts import play

TEXT = play(lines=1500)
_TOKENIZERS: dict[tuple[bool, bool], PieceTokenizer] = {}


def tokenizer(*, byte_fallback: bool = False, split_by_whitespace: bool = True) -> PieceTokenizer:
    key = (byte_fallback, split_by_whitespace)
    if key not in _TOKENIZERS:
        _TOKENIZERS[key] = train_pieces(
            Tokenizer(
                vocab_size=420 if byte_fallback else 160,
                byte_fallback=byte_fallback,
                split_by_whitespace=split_by_whitespace,
            ),
            TEXT,
        )
    return _TOKENIZERS[key]


def encode_again(
    given_tokenizer: PieceTokenizer, text: str, share: float, *, seed: int = 1, epoch: int = 0
) -> list[int]:
    tokens = given_tokenizer.encode(text)
    blocks = SubwordDropout(given_tokenizer.model, share).encode_again(
        tokens, seed=seed, epoch=epoch
    )
    return [int(token) for block in blocks for token in block]


@pytest.mark.parametrize("byte_fallback", [False, True])
@pytest.mark.parametrize("split_by_whitespace", [True, False])
@given(data=st.data())
@settings(max_examples=30)
def test_with_nothing_left_out_it_is_what_sentencepiece_gives(
    data: st.DataObject, byte_fallback: bool, split_by_whitespace: bool
) -> None:
    of = tokenizer(byte_fallback=byte_fallback, split_by_whitespace=split_by_whitespace)
    alphabet = st.sampled_from(sorted(set(TEXT)) + (["é", "\u2581", "😀"] if byte_fallback else []))
    text = data.draw(st.text(alphabet=alphabet, max_size=120) | st.sampled_from([TEXT]))
    assert encode_again(of, text, 0.0) == of.encode(text).tolist()


@given(share=st.floats(0, 0.999), epoch=st.integers(0, 99))
@settings(max_examples=20)
def test_the_text_stays_the_same_whatever_is_left_out(share: float, epoch: int) -> None:
    of = tokenizer(byte_fallback=True)
    text = TEXT[:2000] + "é\u2581 \0😀\n"
    assert of.decode(encode_again(of, text, share, epoch=epoch)) == text


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_as_many_tokens_come_out_as_sentencepiece_s_own_sampling_gives(share: float) -> None:
    of = tokenizer()
    theirs = of.processor.encode(TEXT, enable_sampling=True, alpha=share, nbest_size=-1)
    assert len(encode_again(of, TEXT, share)) == pytest.approx(len(theirs), rel=0.02)


def test_nearly_everything_left_out_leaves_characters() -> None:
    tokens = encode_again(tokenizer(), TEXT, 0.999)
    assert len(tokens) > 0.99 * len(TEXT)


def test_epochs_and_seeds_differ_and_repeat() -> None:
    of = tokenizer()
    first = encode_again(of, TEXT, 0.1)
    assert encode_again(of, TEXT, 0.1) == first
    assert encode_again(of, TEXT, 0.1, epoch=1) != first
    assert encode_again(of, TEXT, 0.1, seed=2) != first


def test_another_process_draws_the_same(tmp_path: Path) -> None:
    # The reason for the module: SentencePiece's own sampling does not.
    of = tokenizer()
    path = of.save(tmp_path)
    code = f"""
import numpy as np
from lightgpt.tokenizer.files import read_pieces
from lightgpt.tokenizer.subword_dropout import SubwordDropout
from pathlib import Path
of = read_pieces(Path({str(path)!r}))
blocks = SubwordDropout(of.model, 0.2).encode_again(of.encode({TEXT[:3000]!r}), seed=3, epoch=4)
print(np.concatenate(list(blocks)).tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(encode_again(of, TEXT[:3000], 0.2, seed=3, epoch=4))


def test_text_is_cut_into_blocks_only_where_words_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subword_dropout, "_BLOCK_TOKENS", 50)
    of = tokenizer()
    blocks = list(SubwordDropout(of.model, 0.0).encode_again(of.encode(TEXT), seed=1, epoch=0))
    assert len(blocks) > 20
    assert max(map(len, blocks)) <= 50
    assert np.concatenate(blocks).tolist() == of.encode(TEXT).tolist()


def test_a_very_long_word_keeps_its_text() -> None:
    of = tokenizer()
    text = "king" * 5000
    assert of.decode(encode_again(of, text, 0.1)) == text


def test_nothing_comes_of_nothing() -> None:
    assert encode_again(tokenizer(), "", 0.1) == []
