import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightgpt.data import building, opened, prepared
from lightgpt.data.index import INDEX_FILE
from lightgpt.data.prepared import PreparedData, open_prepared, prepare
from lightgpt.tokenizer.files import load_tokenizer, train_tokenizer
from runcontract.faults import DataFault, StorageFault
from support.texts import play, training, write_text

TEXT = play(lines=800)


class Folders:
    """A folder with a text, a cache, and preparation with them."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "base"
        self.cache = folder / "cache"
        self.base.mkdir()
        self.text(TEXT)

    def text(self, text: str) -> None:
        write_text(self.base, text)

    def prepare(self, *, verify: bool = False, **keys: Any) -> PreparedData:
        return prepare(
            training(**keys),
            base_folder=self.base,
            cache_folder=self.cache,
            variables={},
            verify=verify,
        )

    def refused(self, **keys: Any) -> str:
        with pytest.raises(DataFault) as fault:
            self.prepare(**keys)
        assert self.entries() == ()
        return str(fault.value)

    def entries(self) -> tuple[str, ...]:
        """What lies in the cache of prepared data, locks aside."""
        found = self.cache.glob("prepared/*")
        return tuple(sorted(path.name for path in found if path.suffix != ".lock"))


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def all_tokens(data: PreparedData) -> list[list[int]]:
    parts = [data.training, data.validation, *([data.test] if data.test else [])]
    return [part.tokens[:].tolist() for part in parts]


TOKENIZERS: tuple[dict[str, Any], ...] = (
    {"type": "BPE", "vocabSize": 128},
    {"type": "Unigram", "vocabSize": 100},
    {"type": "Byte"},
    {"type": "Character"},
)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: tokenizer["type"])
def test_the_parts_decode_to_the_text(folders: Folders, tokenizer: dict[str, Any]) -> None:
    data = folders.prepare(tokenizer=tokenizer)
    assert data.facts.lossless
    assert data.facts.trained_on_training_part_only
    assert data.facts.type == tokenizer["type"]
    assert data.facts.vocab_size == data.tokenizer.vocab_size
    assert "".join(data.tokenizer.decode(tokens) for tokens in all_tokens(data)) == TEXT


def test_characters_and_bytes_are_counted_for_each_part(folders: Folders) -> None:
    folders.text("é" * 500 + "a" * 500)
    data = folders.prepare(
        tokenizer={"type": "Byte"}, data={"validationFraction": 0.1, "testFraction": 0.0}
    )
    assert (data.training.characters, data.training.bytes_) == (900, 1400)
    assert (data.validation.characters, data.validation.bytes_) == (100, 100)
    assert data.test is None


def test_the_tokenizer_sees_the_training_part_only(folders: Folders) -> None:
    data = folders.prepare()
    train_text = data.tokenizer.decode(data.training.tokens[:])
    alone = train_tokenizer(training().tokenizer, train_text)
    assert alone.sha256 == data.tokenizer_sha256
    whole = train_tokenizer(training().tokenizer, TEXT)
    assert whole.sha256 != data.tokenizer_sha256


def test_a_second_preparation_takes_the_first_one_s_files(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = folders.prepare()
    monkeypatch.setattr(prepared, "build", None)
    second = folders.prepare()
    assert second.folder == first.folder
    assert second.facts == first.facts
    assert all_tokens(second) == all_tokens(first)


@pytest.mark.parametrize(
    "keys",
    [
        {"data": {"validationFraction": 0.1}},
        {"data": {"testFraction": 0.0}},
        {"tokenizer": {"type": "BPE", "vocabSize": 127}},
        {"tokenizer": {"type": "Unigram", "vocabSize": 100}},
        {"tokenizer": {"type": "BPE", "vocabSize": 400, "byteFallback": True}},
    ],
)
def test_whatever_decides_the_tokens_has_an_entry_of_its_own(
    folders: Folders, keys: dict[str, Any]
) -> None:
    first = folders.prepare()
    assert folders.prepare(**keys).folder != first.folder
    assert len(folders.entries()) == 2


def test_another_text_and_another_sentencepiece_have_entries_of_their_own(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.prepare()
    monkeypatch.setattr(prepared, "version", lambda _: "99.0")
    folders.prepare()
    folders.text(TEXT + "More.\n")
    folders.prepare()
    assert len(folders.entries()) == 3


def test_what_does_not_decide_the_tokens_shares_the_entry(folders: Folders) -> None:
    first = folders.prepare()
    second = folders.prepare(seed=5, batchSize=2, model={"contextLength": 16})
    assert second.folder == first.folder


FILES = (INDEX_FILE, "tokenizer.model", "training-00000.bin", "validation-00000.bin")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", ["missing", "truncated", "altered", "empty"])
def test_a_cached_entry_that_was_harmed_is_told_and_made_again(
    folders: Folders, file: str, harm: str
) -> None:
    first = folders.prepare()
    expected = all_tokens(first)
    path = first.folder / file
    content = path.read_bytes()
    match harm:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(content[:-7])
        case "altered":
            middle = len(content) // 2
            path.write_bytes(
                content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
            )
        case _:
            path.write_bytes(b"")
    if (file, harm) != (INDEX_FILE, "altered"):
        with pytest.raises(DataFault, match=r"found .*; expected"):
            open_prepared(first.folder)
        again = folders.prepare()
        assert again.folder == first.folder
        assert all_tokens(again) == expected
        assert path.read_bytes() == content
        assert folders.entries() == (first.folder.name,)


def test_large_shards_are_hashed_when_asked_and_sized_always(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "ALWAYS_VERIFIED_BYTES", 0)
    first = folders.prepare()
    path = first.folder / "training-00000.bin"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    open_prepared(first.folder)
    with pytest.raises(DataFault, match="SHA-256"):
        open_prepared(first.folder, verify=True)
    folders.prepare(verify=True)
    open_prepared(first.folder, verify=True)
    path.write_bytes(content[:-2])
    with pytest.raises(DataFault, match="bytes"):
        open_prepared(first.folder)


def test_several_shards_are_one_text(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = all_tokens(folders.prepare())
    monkeypatch.setattr(building, "TOKENS_PER_SHARD", 1000)
    folders.cache = folders.cache / "other"
    data = folders.prepare()
    assert len(list(data.folder.glob("training-*.bin"))) > 3
    assert all_tokens(data) == whole


def test_callers_at_the_same_time_build_it_once_and_get_the_same(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    real_build = building.build
    together = threading.Barrier(4)

    def counting_build(folder: Path, *arguments: Any, **keys: Any) -> Any:
        built.append(folder.name)
        return real_build(folder, *arguments, **keys)

    def prepare_together() -> PreparedData:
        together.wait()
        return folders.prepare()

    monkeypatch.setattr(prepared, "build", counting_build)
    with ThreadPoolExecutor(4) as pool:
        found = [future.result() for future in [pool.submit(prepare_together) for _ in range(4)]]
    assert len(built) == 1
    assert [all_tokens(data) for data in found] == [all_tokens(found[0])] * 4


def test_without_locks_the_last_one_in_place_is_whole(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with ThreadPoolExecutor(4) as pool:
        found = [future.result() for future in [pool.submit(folders.prepare) for _ in range(4)]]
    assert [all_tokens(data) for data in found] == [all_tokens(found[0])] * 4
    assert folders.entries() == (found[0].folder.name,)


def test_what_a_killed_process_left_is_removed_by_the_next(folders: Folders) -> None:
    data = folders.prepare()
    old, young = (data.folder.parent / f".{data.folder.name}.{name}" for name in ("old", "young"))
    for leftover in (old, young):
        leftover.mkdir()
        (leftover / "training-00000.bin").write_bytes(b"half")
    hours_ago = time.time() - 2 * prepared.LEFTOVER_AGE_SECONDS
    os.utime(old, (hours_ago, hours_ago))
    (data.folder / INDEX_FILE).unlink()
    folders.prepare()
    # The young one may be the work of a machine whose locks are not seen from here.
    assert folders.entries() == (young.name, data.folder.name)


def test_a_fault_leaves_nothing_in_the_cache(folders: Folders) -> None:
    assert "at most" in folders.refused(tokenizer={"vocabSize": 16000})


def test_a_cache_that_cannot_be_written_is_a_storage_fault(folders: Folders) -> None:
    folders.cache.write_text("a file where a folder should be")
    with pytest.raises(StorageFault, match="expected a folder that can be written"):
        folders.prepare()


def test_a_full_disk_is_a_storage_fault_and_leaves_nothing(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFault, match="No space left on device"):
        folders.prepare()
    assert folders.entries() == ()


@pytest.mark.parametrize("characters", [1, 2, 10])
def test_a_text_too_short_for_its_parts_is_refused(folders: Folders, characters: int) -> None:
    folders.text("x" * characters)
    said = folders.refused(tokenizer={"type": "Byte"})
    assert f"found {characters} characters, which leave no text for" in said
    assert "validation" in said


def test_a_part_of_white_space_is_no_text(folders: Folders) -> None:
    folders.text("x" * 90 + " " * 10)
    assert "leave no text for validation and test" in folders.refused(tokenizer={"type": "Byte"})


def test_a_context_longer_than_the_training_part_is_refused(folders: Folders) -> None:
    folders.text("x" * 100)
    said = r"training\.model\.contextLength: found 90, and 90 tokens in the training part"
    with pytest.raises(DataFault, match=said):
        folders.prepare(tokenizer={"type": "Byte"}, model={"contextLength": 90})
    folders.prepare(tokenizer={"type": "Byte"}, model={"contextLength": 89})


def test_a_validation_part_of_one_token_scores_nothing_and_is_refused(folders: Folders) -> None:
    folders.text("x" * 100)
    with pytest.raises(DataFault, match=r"validationFraction: found 1 tokens"):
        folders.prepare(
            tokenizer={"type": "Byte"}, data={"validationFraction": 0.01, "testFraction": 0.02}
        )


def test_a_character_of_validation_that_training_has_not_is_refused_for_characters(
    folders: Folders,
) -> None:
    folders.text(TEXT + "$" * 40)
    assert "characters that the training part has not: '$'" in folders.refused(
        tokenizer={"type": "Character"}
    )


@pytest.mark.parametrize("kind", ["BPE", "Unigram"])
def test_a_character_that_would_be_lost_is_refused_with_what_to_do(
    folders: Folders, kind: str
) -> None:
    folders.text(TEXT + "To the café, good lord, to the café\n" * 20)
    said = folders.refused(tokenizer={"type": kind, "vocabSize": 100})
    assert said.startswith("training.tokenizer.lossless: found true, but the test part has")
    assert "café" in said
    assert "byteFallback: true" in said
    data = folders.prepare(tokenizer={"type": kind, "vocabSize": 340, "byteFallback": True})
    assert data.facts.lossless


def test_a_loss_that_was_asked_for_is_told_in_the_facts(folders: Folders) -> None:
    folders.text(TEXT + "To the café, good lord, to the café\n" * 20)
    data = folders.prepare(
        tokenizer={"type": "BPE", "vocabSize": 100, "lossless": False},
        samples={"prompt": "The"},
    )
    assert not data.facts.lossless
    test = data.index.part("test")
    assert test
    assert not test.exact
    assert test.unknown_tokens > 0


def test_less_than_full_coverage_is_told_in_the_facts(folders: Folders) -> None:
    folders.text(TEXT[:5000] + "$" + TEXT[5000:])
    data = folders.prepare(tokenizer={"type": "BPE", "vocabSize": 100, "characterCoverage": 0.999})
    assert not data.facts.lossless
    found = data.index.part("training")
    assert found
    assert not found.exact
    assert found.unknown_tokens > 0


def test_a_model_from_elsewhere_is_taken_as_it_is(folders: Folders) -> None:
    first = folders.prepare(tokenizer={"type": "Unigram", "vocabSize": 100})
    first.tokenizer.save(folders.base)
    data = folders.prepare(tokenizer={"path": "tokenizer.model"})
    assert data.tokenizer_sha256 == first.tokenizer_sha256
    assert data.facts.type == "Unigram"
    assert data.facts.lossless
    assert data.facts.trained_on_training_part_only is None


def test_another_model_at_the_same_path_has_an_entry_of_its_own(folders: Folders) -> None:
    entries = set()
    for size in (100, 101):
        train_tokenizer(
            training(tokenizer={"type": "BPE", "vocabSize": size}).tokenizer, TEXT
        ).save(folders.base)
        entries.add(folders.prepare(tokenizer={"path": "tokenizer.model"}).folder)
    assert len(entries) == 2


def test_a_missing_model_is_named(folders: Folders) -> None:
    assert "none.model: found No such file" in folders.refused(tokenizer={"path": "none.model"})


def test_a_prompt_that_cannot_be_encoded_is_found_before_training(folders: Folders) -> None:
    with pytest.raises(DataFault, match=r"^training\.samples\.prompt: found Character"):
        folders.prepare(tokenizer={"type": "Character"}, samples={"prompt": "[x]"})
    folders.prepare(tokenizer={"type": "Character"}, samples={"prompt": "[x]", "tokens": 0})
    with pytest.raises(DataFault, match=r"^training\.samples\.prompt: .*at least one token"):
        folders.prepare(
            tokenizer={"type": "BPE", "vocabSize": 100, "lossless": False},
            samples={"prompt": "\n"},
        )


def test_the_index_says_what_the_entry_holds(folders: Folders) -> None:
    data = folders.prepare()
    document = json.loads((data.folder / INDEX_FILE).read_text())
    assert document["dtype"] == "uint16"
    assert document["sourceSha256"] == data.data_sha256
    assert document["tokenizer"]["sha256"] == data.tokenizer_sha256
    for part in document["parts"]:
        size = sum((data.folder / shard["file"]).stat().st_size for shard in part["shards"])
        assert size == 2 * part["tokens"]
    counts = np.bincount(data.training.tokens[:], minlength=128)
    assert document["parts"][0]["vocabularyUsed"] == np.count_nonzero(counts)
    assert load_tokenizer(data.folder).sha256 == data.tokenizer_sha256


@settings(max_examples=25)
@given(
    text=st.text(min_size=60, max_size=400),
    tokenizer=st.sampled_from(
        [
            {"type": "Byte"},
            {"type": "Character"},
            {"type": "BPE", "vocabSize": 300, "byteFallback": True},
            {"type": "BPE", "vocabSize": 40},
        ]
    ),
)
def test_any_text_is_either_prepared_without_loss_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, tokenizer: dict[str, Any]
) -> None:
    folders = Folders(tmp_path_factory.mktemp("any"))
    folders.text(text)
    try:
        data = folders.prepare(tokenizer=tokenizer, samples={"tokens": 0})
    except DataFault:
        return
    text = text.removeprefix("\ufeff")
    assert data.facts.lossless
    assert "".join(data.tokenizer.decode(tokens) for tokens in all_tokens(data)) == text
