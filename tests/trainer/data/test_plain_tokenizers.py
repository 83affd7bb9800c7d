import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightgpt.tokenizer.files import load_tokenizer
from lightgpt.tokenizer.plain import ByteTokenizer, CharacterTokenizer
from runcontract.faults import DataFault


@given(st.text())
def test_bytes_give_back_any_text(text: str) -> None:
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(text)
    assert ids.tolist() == list(text.encode())
    assert tokenizer.decode(ids) == tokenizer.decode(ids.tolist()) == text


@given(st.text(min_size=1))
def test_characters_give_back_the_text_that_they_are_made_from(text: str) -> None:
    tokenizer = CharacterTokenizer(text)
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert ids.max() < tokenizer.vocab_size == len(set(text))
    assert tokenizer.decode(ids) == text


def test_a_character_that_training_has_not_seen_is_named_with_how_often_it_stands_there() -> None:
    with pytest.raises(DataFault) as fault:
        CharacterTokenizer("abc").encode("abXcéX")
    assert fault.value.faults[0].where == "training.tokenizer.type"
    assert "3 places" in fault.value.faults[0].found
    assert "Xé" in fault.value.faults[0].found


def test_bytes_that_are_no_text_decode_to_the_replacement_character() -> None:
    assert ByteTokenizer().decode([0x61, 0xFF]) == "a\ufffd"


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), CharacterTokenizer("to be or not\n\0é😀")])
def test_a_saved_tokenizer_is_loaded_as_it_was(
    tmp_path: Path, tokenizer: ByteTokenizer | CharacterTokenizer
) -> None:
    path = tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (loaded.kind, loaded.vocab_size) == (tokenizer.kind, tokenizer.vocab_size)
    assert loaded.sha256 == tokenizer.sha256
    assert loaded.encode("to be").tolist() == tokenizer.encode("to be").tolist()
    assert path.read_text(encoding="utf-8").isascii()


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"type": "Word"},
        {"type": "Byte", "more": 1},
        {"type": "Character"},
        {"type": "Character", "characters": ""},
        {"type": "Character", "characters": 5},
    ],
)
def test_a_file_that_describes_no_tokenizer_is_refused_by_name(
    tmp_path: Path, document: object
) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(DataFault, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)


def test_text_with_a_lone_surrogate_is_a_fault_and_no_traceback() -> None:
    with pytest.raises(DataFault, match="UTF-8"):
        ByteTokenizer().encode("a\udcff")
