"""Headers that lie: each is refused with what is wrong, and none costs memory or time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from lightgpt.checkpoint.faults import BrokenFile
from lightgpt.checkpoint.scan import scan_file
from lightgpt.checkpoint.tensor_file import TensorEntry
from lightgpt.checkpoint.values import TensorValues, ValueScan

TENSOR: dict[str, Any] = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(BrokenFile) as caught:
        scan_file(path, hashed=False)
    return str(caught.value)


def file_of(header: object, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "too few"),
        (b"1234567", "too few"),
        ((2**63).to_bytes(8, "little") + b"{}", "the header claims 9223372036854775808 bytes"),
        (file_of(b"{"), "not JSON"),
        (file_of(b"[" * 100_000), "not JSON"),
        (file_of(b"\xff{}"), "not JSON"),
        (file_of([]), "no JSON object"),
        (file_of(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":1}'), "names 'a' twice"),
        (file_of({"a": TENSOR, "__metadata__": {"k": 1}}), "__metadata__"),
        (file_of({"a": TENSOR | {"dtype": "PICKLE"}}), "unknown type 'PICKLE'"),
        (file_of({"a": TENSOR | {"dtype": ["F32"]}}), "unknown type"),
        (file_of({"a": TENSOR | {"extra": 1}}), "has not exactly"),
        (file_of({"a": {"dtype": "F32"}}), "has not exactly"),
        (file_of({"a": None}), "has not exactly"),
        (file_of({"a": TENSOR | {"shape": [-2]}}), "impossible shape"),
        (file_of({"a": TENSOR | {"shape": [True, 2]}}), "impossible shape"),
        (file_of({"a": TENSOR | {"shape": [2.0]}}), "impossible shape"),
        (file_of({"a": TENSOR | {"shape": 2}}), "impossible shape"),
        (file_of({"a": TENSOR | {"shape": [1] * 40 + [2]}}), "impossible shape"),
        (file_of({"a": TENSOR | {"shape": [2**62, 2**62]}}), "needs"),
        (file_of({"a": TENSOR | {"shape": [3]}}), "needs 12 bytes, its offsets give 8"),
        (file_of({"a": TENSOR | {"data_offsets": [8, 0]}}), "impossible offsets"),
        (file_of({"a": TENSOR | {"data_offsets": [0]}}), "impossible offsets"),
        (file_of({"a": TENSOR | {"data_offsets": [-8, 0]}}), "impossible offsets"),
        (file_of({"a": TENSOR | {"data_offsets": [8, 16]}}), "cut short"),
        (file_of({"a": TENSOR, "b": TENSOR | {"data_offsets": [4, 12]}}, bytes(12)), "overlaps"),
        (file_of({"a": TENSOR, "b": TENSOR}), "overlaps"),
        (file_of({"a": TENSOR, "b": TENSOR | {"data_offsets": [12, 20]}}, bytes(20)), "4 bytes before tensor 'b'"),
        (file_of({"a": TENSOR}, bytes(9)), "1 bytes after the last tensor"),
        (file_of({"a": TENSOR}, bytes(7)), "cut short"),
        (file_of({}, bytes(1)), "1 bytes after"),
    ],
)  # fmt: skip
def test_a_lie_is_told_as_what_it_is(tmp_path: Path, content: bytes, told: str) -> None:
    assert told in refused(tmp_path / "file", content)


def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes((1 << 30).to_bytes(8, "little"))
    with path.open("r+b") as file:
        file.truncate(2 << 30)  # a hole: it takes no space
    with pytest.raises(BrokenFile, match="at most"):
        scan_file(path, hashed=False)


@given(st.integers(0, 255), st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_a_tensor_file_or_refused(
    tmp_path_factory: pytest.TempPathFactory, length: int, header: bytes, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(length.to_bytes(8, "little") + header + data)
    try:
        scan_file(path, hashed=False)
    except BrokenFile:
        return
    assert length >= 2
    assert json.loads(header[:length] or data) is not None


FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(
    "values",
    [[1.0, -2.0, 0.5], [3.0, 1.0], [-1.0, -3.0], [0.0, 0.0], [-0.0, 0.0], [0.0, 2.0], [-2.0, 0.0],
     [float("nan"), 1.0, -2.0], [float("inf"), 1.0], [float("-inf"), -1.0, 2.0], [float("nan")], [-float("nan"), 4.0],
     [float("inf"), float("-inf"), float("nan")]],
)  # fmt: skip
def test_values_are_counted_as_pytorch_does_it(dtype: torch.dtype, values: list[float]) -> None:
    tensor = torch.tensor(values).to(dtype)
    wide = tensor.double()
    finite = wide[wide.isfinite()]
    found = scanned(tensor)
    assert (found.nan, found.infinite) == (int(wide.isnan().sum()), int(wide.isinf().sum()))
    assert found.minimum == (float(finite.min()) if len(finite) else None)
    assert found.maximum == (float(finite.max()) if len(finite) else None)
    assert found.is_all_zero == bool((wide == 0).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_order_of_bits_is_the_order_of_values(dtype: torch.dtype) -> None:
    every = torch.from_numpy(np.arange(65_536, dtype=np.uint16)).view(dtype)
    generator = torch.Generator().manual_seed(1)
    for _ in range(200):
        some = every[torch.randint(65_536, (3,), generator=generator)]
        wide = some.double()
        if wide.isfinite().all():
            found = scanned(some)
            assert (found.minimum, found.maximum) == (float(wide.min()), float(wide.max()))
        else:
            assert scanned(some).nan == int(wide.isnan().sum())


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.bool], ids=str)  # fmt: skip
def test_whole_numbers_have_a_range_and_no_nan(dtype: torch.dtype) -> None:
    found = scanned(torch.tensor([0, 1, 1]).to(dtype))
    assert (found.minimum, found.maximum, found.nan) == (0, 1, 0)


def test_a_tensor_larger_than_a_piece_is_seen_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightgpt.checkpoint.scan._PIECE_BYTES", 64)
    tensor = torch.zeros(1000)
    tensor[999] = float("nan")
    tensor[500] = -3.0
    (tmp_path / "file").write_bytes(save({"a": tensor, "b": torch.zeros(0), "c": torch.ones(17)}))
    for hashed in (True, False):
        found = {
            t.entry.name: t.values for t in scan_file(tmp_path / "file", hashed=hashed).tensors
        }
        assert (found["a"].nan, found["a"].minimum, found["a"].maximum) == (1, -3.0, 0.0)
        assert found["b"].minimum is None
        assert found["c"].maximum == 1.0


def scanned(tensor: Tensor) -> TensorValues:
    raw = tensor.contiguous().view(torch.uint8)
    names = {
        torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float8_e5m2: "F8_E5M2",
        torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.uint16: "U16",
        torch.bool: "BOOL",
    }  # fmt: skip
    entry = TensorEntry(
        name="t", dtype=names[tensor.dtype], shape=tuple(tensor.shape), begin=0, end=raw.numel()
    )
    scan = ValueScan(entry)
    scan.add(raw)
    return scan.result()
