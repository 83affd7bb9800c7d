"""The checkpoint manifest: what it may say, and that no byte of it can change unseen."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcontract.manifest import (
    MAX_MANIFEST_BYTES,
    Manifest,
    ManifestFile,
    checkpoint_name,
    parse_manifest,
    sealed_bytes,
    step_of,
)


def manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "run_uid": "run-ü", "attempt": 2, "step": 30, "epoch": 1.5, "tokens": 300, "created_time": datetime(2026, 11, 22, tzinfo=UTC),
        "configuration_hash": "a" * 64, "tokenizer_sha256": "b" * 64, "data_sha256": "c" * 64, "parameters": 52,
        "model": {"layers": 1}, "files": (ManifestFile(name="model.safetensors", size_bytes=7, sha256="d" * 64),),
    }  # fmt: skip
    return Manifest(**(values | changes))


SEALED = sealed_bytes(manifest())


def test_a_sealed_manifest_is_read_as_it_was_written() -> None:
    read = parse_manifest(SEALED)
    assert read.model_copy(update={"manifest_sha256": "0" * 64}) == manifest()
    assert sealed_bytes(read) == SEALED


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_no_byte_can_change_unseen(place: int, change: int) -> None:
    edited = bytearray(SEALED)
    edited[place] ^= change
    with pytest.raises(ValueError, match=r"."):
        parse_manifest(bytes(edited))


@given(st.integers(0, len(SEALED) - 1))
def test_a_shortened_manifest_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=r"not a manifest|its own hash"):
        parse_manifest(SEALED[:length])


@pytest.mark.parametrize("suffix", [b"\n", b" ", b"{}", b"\0"])
def test_a_lengthened_manifest_is_refused(suffix: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_manifest(SEALED + suffix)


def test_a_manifest_without_a_seal_is_refused() -> None:
    document = json.loads(SEALED)
    del document["manifestSha256"]
    with pytest.raises(ValueError, match="own hash"):
        parse_manifest(json.dumps(document).encode())


def test_a_manifest_of_any_size_is_not_parsed() -> None:
    with pytest.raises(ValueError, match=f"more than the {MAX_MANIFEST_BYTES}"):
        parse_manifest(b" " * (MAX_MANIFEST_BYTES + 1))


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc/passwd", ".hidden", "", "a\0b", "x" * 200, "ü"]
)
def test_a_file_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        ManifestFile(name=name, size_bytes=1, sha256="d" * 64)


def test_a_file_that_stands_twice_is_refused() -> None:
    file = ManifestFile(name="a", size_bytes=1, sha256="d" * 64)
    with pytest.raises(ValueError, match="twice"):
        manifest(files=(file, file))


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_names_of_checkpoints_give_the_step_back_and_sort_as_steps(one: int, other: int) -> None:
    assert step_of(checkpoint_name(one)) == one
    if max(one, other) < 10**8:
        assert (one < other) == (checkpoint_name(one) < checkpoint_name(other))


@pytest.mark.parametrize(
    "name", ["step-1", "step-00000100.tmp-1", "step-00000100.broken-1", "xstep-00000100", "step-0000010x", "step-٠٠٠٠٠١٠٠"]
)  # fmt: skip
def test_other_names_are_no_checkpoints(name: str) -> None:
    assert step_of(name) is None
