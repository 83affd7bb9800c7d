from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightgpt.tokenizer.files import load_tokenizer, read_pieces
from lightgpt.tokenizer.model_file import PieceType, piece_kind, pieces_of
from lightgpt.tokenizer.piece_training import train_pieces
from lightgpt.tokenizer.pieces import PieceTokenizer
from runcontract.faults import DataFault
from runcontract.order import Tokenizer
from support.texts import play

TEXT = play()


@pytest.fixture(scope="module", params=["BPE", "Unigram"])
def tokenizer(request: pytest.FixtureRequest) -> PieceTokenizer:
    return train_pieces(Tokenizer(type=request.param, vocab_size=360, byte_fallback=True), TEXT)


def test_the_vocabulary_read_from_the_file_is_that_of_sentencepiece(
    tokenizer: PieceTokenizer,
) -> None:
    processor = tokenizer.processor
    pieces = pieces_of(tokenizer.model)
    assert [piece.text for piece in pieces] == [
        processor.id_to_piece(index) for index in range(processor.vocab_size())
    ]
    assert [piece.score for piece in pieces] == [
        processor.get_score(index) for index in range(processor.vocab_size())
    ]
    for index, piece in enumerate(pieces):
        assert (piece.type is PieceType.BYTE) == processor.is_byte(index)
        assert (piece.type is PieceType.CONTROL) == processor.is_control(index)
        assert (piece.type is PieceType.UNKNOWN) == processor.is_unknown(index)
        assert (piece.type is PieceType.USER_DEFINED) == (piece.text == "\n")


def test_the_algorithm_is_read_from_the_file(tokenizer: PieceTokenizer) -> None:
    assert piece_kind(tokenizer.model) == tokenizer.kind


def test_a_saved_model_is_loaded_as_it_was(tmp_path: Path, tokenizer: PieceTokenizer) -> None:
    path = tokenizer.save(tmp_path)
    for loaded in (load_tokenizer(tmp_path), read_pieces(path)):
        assert (loaded.kind, loaded.sha256) == (tokenizer.kind, tokenizer.sha256)
        assert loaded.encode(TEXT).tolist() == tokenizer.encode(TEXT).tolist()


@given(content=st.binary(max_size=200))
def test_what_is_no_model_is_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("model") / "some.model"
    path.write_bytes(content)
    with pytest.raises(DataFault, match=r"some\.model.*expected a SentencePiece model"):
        read_pieces(path)


def test_a_truncated_model_is_refused(tmp_path: Path, tokenizer: PieceTokenizer) -> None:
    path = tmp_path / "cut.model"
    for length in range(0, len(tokenizer.model), 997):
        path.write_bytes(tokenizer.model[:length])
        with pytest.raises(DataFault, match=r"cut\.model"):
            read_pieces(path)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFault, match=r"none\.model: found No such file"):
        read_pieces(tmp_path / "none.model")
