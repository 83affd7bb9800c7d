import io
import re
from itertools import pairwise

import numpy as np
import pytest
import sentencepiece
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from lightgpt.tokenizer.files import train_tokenizer
from lightgpt.tokenizer.piece_training import train_pieces
from lightgpt.tokenizer.pieces import PieceTokenizer, WhiteSpace
from runcontract.faults import DataFault
from runcontract.order import Tokenizer
from support.texts import play

TEXT = play()
ODD = "\0\1\t\r\n\x0b\x1c\x7f\x85\xa0\u2028\u3000\u200b\ufeff\ufffd\u2047\u2581\u2585é日😀\U0010ffff<s></s><unk><0x41>"


def settings_of(**keys: object) -> Tokenizer:
    size = 400 if keys.get("byte_fallback") else 100
    return Tokenizer.model_validate({"type": "BPE", "vocab_size": size} | keys)


@pytest.fixture(scope="module")
def with_bytes() -> PieceTokenizer:
    return train_pieces(settings_of(vocab_size=400, byte_fallback=True), TEXT)


@pytest.fixture(scope="module")
def without_bytes() -> PieceTokenizer:
    return train_pieces(settings_of(), TEXT)


def largest(settings: Tokenizer, text: str) -> PieceTokenizer:
    """The tokenizer of the largest vocabulary that `text` allows, found by the fault that names it."""
    try:
        return train_pieces(settings.model_copy(update={"vocab_size": 5000}), text)
    except DataFault as fault:
        size = re.search(r"at (?:most|least) (\d+)", fault.faults[0].expected)
        if size is None:
            raise
        return train_pieces(settings.model_copy(update={"vocab_size": int(size[1])}), text)


@given(text=st.text())
@example(ODD)
@example("\n\n \n  a\n")
@example("a\u2581b \u2581\u2581")
def test_with_byte_pieces_any_text_comes_back(with_bytes: PieceTokenizer, text: str) -> None:
    assert with_bytes.decode(with_bytes.encode(text)) == text


@settings(max_examples=40)
@given(text=st.text(min_size=1).filter(str.split), kind=st.sampled_from(["BPE", "Unigram"]))
@example(text=ODD, kind="BPE")
@example(text=ODD, kind="Unigram")
@example(text="one\u2585two three\0four", kind="BPE")
def test_a_tokenizer_with_byte_pieces_gives_back_the_very_text_it_was_trained_on(
    text: str, kind: str
) -> None:
    # Something must be left besides the characters that SentencePiece keeps for itself.
    assume(any(text.translate({0: None, 0x2581: None, 0x2585: None}).split("\n")))
    tokenizer = largest(settings_of(type=kind, byte_fallback=True), text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=st.text(alphabet=sorted(set(TEXT))))
def test_without_byte_pieces_text_of_known_characters_comes_back(
    without_bytes: PieceTokenizer, text: str
) -> None:
    ids = without_bytes.encode(text)
    assert without_bytes.decode(ids) == text
    assert without_bytes.unknown_id not in ids


def test_without_byte_pieces_an_unknown_character_is_the_unknown_token(
    without_bytes: PieceTokenizer,
) -> None:
    assert without_bytes.unknown_id in without_bytes.encode("the king é")


@pytest.mark.parametrize("kind", ["BPE", "Unigram"])
def test_the_same_text_gives_the_same_bytes_each_time(kind: str) -> None:
    first, second = (train_pieces(settings_of(type=kind), TEXT).model for _ in range(2))
    assert first == second


@pytest.mark.parametrize("kind", ["BPE", "Unigram"])
def test_the_vocabulary_has_the_size_that_was_asked_for(kind: str) -> None:
    tokenizer = train_tokenizer(settings_of(type=kind, vocab_size=100), TEXT)
    assert (tokenizer.kind, tokenizer.vocab_size) == (kind, 100)
    assert tokenizer.encode(TEXT).max() < 100


def test_encoding_in_blocks_gives_what_sentencepiece_gives_for_the_whole(
    without_bytes: PieceTokenizer,
) -> None:
    text = play(lines=1200, seed=8)
    assert len(list(without_bytes.blocks(text))) > 3
    assert without_bytes.encode(text).tolist() == without_bytes.processor.encode(text)


def test_a_newline_is_a_token_of_its_own(without_bytes: PieceTokenizer) -> None:
    newline = without_bytes.encode("\n")
    assert len(newline) == 1
    ids = without_bytes.encode("the king\n\nthe queen\n")
    assert np.count_nonzero(ids == newline[0]) == 3


def test_a_line_longer_than_sentencepiece_reads_is_learned_from() -> None:
    # SentencePiece would drop such a line and know nothing of its words.
    text = "abracadabra simsalabim " * 3000
    tokenizer = train_pieces(settings_of(vocab_size=40), text)
    assert len(tokenizer.encode("abracadabra simsalabim")) <= 4
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_line_with_a_reserved_character_is_learned_from() -> None:
    text = "abracadabra\u2585 hocus pocus\0 fidibus\u2581\n" * 50
    tokenizer = train_pieces(settings_of(vocab_size=320, byte_fallback=True), text)
    assert "hocus" in {tokenizer.processor.id_to_piece(i).strip("\u2581") for i in range(320)}


@pytest.mark.parametrize("kind", ["BPE", "Unigram"])
def test_a_vocabulary_that_the_text_does_not_allow_is_refused_with_the_largest_possible(
    kind: str,
) -> None:
    with pytest.raises(DataFault) as fault:
        train_pieces(settings_of(type=kind, vocab_size=16000), TEXT)
    (found,) = fault.value.faults
    assert (found.where, found.found) == ("training.tokenizer.vocabSize", "16000 pieces")
    most = re.fullmatch(r"at most (\d+), the most that the training part allows", found.expected)
    assert most
    size = int(most[1])
    assert train_pieces(settings_of(type=kind, vocab_size=size), TEXT).vocab_size == size
    with pytest.raises(DataFault, match=f"at most {size},"):
        train_pieces(settings_of(type=kind, vocab_size=size + 1), TEXT)


def test_a_vocabulary_smaller_than_the_characters_is_refused_with_the_smallest_possible() -> None:
    with pytest.raises(DataFault) as fault:
        train_pieces(settings_of(vocab_size=8), TEXT)
    least = re.match(r"at least (\d+):", fault.value.faults[0].expected)
    assert least
    assert train_pieces(settings_of(vocab_size=int(least[1])), TEXT).vocab_size == int(least[1])


@pytest.mark.parametrize("text", ["", "\n\n\n", "\u2585", "\0"])
def test_text_with_nothing_to_learn_from_is_refused(text: str) -> None:
    with pytest.raises(DataFault, match="no line to learn from"):
        train_pieces(settings_of(), text)


def test_without_lossless_sentencepiece_has_its_defaults() -> None:
    tokenizer = train_pieces(settings_of(lossless=False), TEXT)
    assert tokenizer.white_space is WhiteSpace.FOLDED
    assert tokenizer.decode(tokenizer.encode("the  king\nthe queen\n")) == "the king the queen"


def test_without_lossless_blocks_give_what_sentencepiece_gives_for_the_whole() -> None:
    tokenizer = train_pieces(settings_of(lossless=False), TEXT)
    text = play(lines=1200, seed=8)
    assert len(list(tokenizer.blocks(text))) > 3
    assert tokenizer.encode(text).tolist() == tokenizer.processor.encode(text)


def test_less_than_full_coverage_leaves_rare_characters_unknown() -> None:
    text = TEXT + "$"
    tokenizer = train_pieces(settings_of(character_coverage=0.999), text)
    assert tokenizer.unknown_id in tokenizer.encode("$")
    full = train_pieces(settings_of(), text)
    assert full.decode(full.encode("$")) == "$"


def test_pieces_reach_over_white_space_only_when_they_may() -> None:
    def reaching(tokenizer: PieceTokenizer) -> list[str]:
        pieces = map(tokenizer.processor.id_to_piece, range(tokenizer.vocab_size))
        return [piece for piece in pieces if "\u2581" in piece[1:]]

    text = "to be or not to be\n" * 100
    assert reaching(train_pieces(settings_of(vocab_size=20), text)) == []
    assert reaching(train_pieces(settings_of(vocab_size=20, split_by_whitespace=False), text))


def test_text_with_a_lone_surrogate_is_refused(without_bytes: PieceTokenizer) -> None:
    with pytest.raises(DataFault, match="UTF-8"):
        without_bytes.encode("a\udcff")


def test_a_model_of_another_kind_is_never_cut() -> None:
    # As LLaMA's: white space is kept, and each text begins with a space.
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.split("\n")),
        model_writer=model,
        vocab_size=100,
        model_type="bpe",
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    tokenizer = PieceTokenizer(model.getvalue(), "BPE")
    assert tokenizer.white_space is WhiteSpace.OTHER
    text = play(lines=600).replace("\n", " ")
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_sample_of_a_very_long_text_is_spread_over_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lightgpt.tokenizer.piece_training.SAMPLE_CHARACTERS", 1 << 18)
    lines = [f"{part} " * 20 + "\n" for part in ("alpha", "beta", "gamma") for _ in range(6000)]
    tokenizer = train_pieces(settings_of(vocab_size=30), "".join(lines))
    assert [len(tokenizer.encode(f" {word}")) for word in ("alpha", "beta", "gamma")] == [1, 1, 1]


def test_blocks_are_bounded_for_text_without_newlines(without_bytes: PieceTokenizer) -> None:
    blocks = list(without_bytes.blocks("the king " * 40_000))
    assert max(map(len, blocks)) <= 1 << 16
    assert all(following.startswith(" ") for _, following in pairwise(blocks))
