"""What a trainer writes may be half written, huge or wrong: it is read piece by piece, and what cannot be used is passed over."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lightcompute.local import tail
from lightcompute.local.inventory import Inventory
from lightcompute.local.tail import ReportTail, last_lines
from runcontract.manifest import MANIFEST, Manifest, ManifestFile, checkpoint_name, sealed_bytes
from runcontract.progress import Started, report_line

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def line(step: int) -> bytes:
    report = Started(
        time=NOW, attempt=1, step=step, max_steps=100, parameters=1, training_tokens=1, device="x"
    )
    return report_line(report).encode() + b"\n"


def steps(reader: ReportTail) -> list[int]:
    return [report.step for report in reader.read()]


def test_each_report_is_read_once_as_the_log_grows(tmp_path: Path) -> None:
    log = tmp_path / "log"
    reader = ReportTail(log)
    assert steps(reader) == []
    log.write_bytes(line(1) + b"hello\n" + line(2)[:20])
    assert steps(reader) == [1]
    with log.open("ab") as file:
        file.write(line(2)[20:] + line(3))
    assert steps(reader) == [2, 3]
    assert steps(reader) == []


def test_who_comes_late_reads_the_end_of_a_long_log_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "FIRST_BYTES", 1000)
    log = tmp_path / "log"
    log.write_bytes(b"".join(line(step) for step in range(1000)))
    found = steps(ReportTail(log))
    assert found[-1] == 999
    assert len(found) < 10


def test_a_line_without_end_neither_fills_the_memory_nor_hides_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 3_000_000)
    reader = ReportTail(log)
    for _ in range(5):
        assert steps(reader) == []
    assert len(reader._rest) < 100_000
    with log.open("ab") as file:
        file.write(b"\n" + line(7))
    assert steps(reader) == [7]


@pytest.mark.parametrize(
    "junk", [b"\xff\xfe\n", b"{}\n", b"{\n", b'{"event":"step"}\n', b"\n", b"\0\n"]
)
def test_what_is_no_report_is_passed_over(tmp_path: Path, junk: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(junk + line(1) + junk)
    assert steps(ReportTail(log)) == [1]


def test_the_last_lines_of_a_log_are_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)), "utf-8")
    assert last_lines(log, 2) == ("line 9998", "line 9999")
    assert last_lines(log, 3, limit_bytes=25) == ("line 9998", "line 9999")
    assert last_lines(tmp_path / "none", 3) == ()


def checkpoint(run: Path, step: int, content: bytes = b"weights") -> Path:
    path = run / "checkpoints" / checkpoint_name(step)
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(content)
    file = ManifestFile(
        name="model.safetensors",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    manifest = Manifest(
        run_uid="uid", attempt=1, step=step, epoch=0, tokens=0, created_time=NOW, configuration_hash="0" * 64,
        tokenizer_sha256="0" * 64, data_sha256="0" * 64, parameters=1, model={}, files=(file,),
    )  # fmt: skip
    (path / MANIFEST).write_bytes(sealed_bytes(manifest))
    return path


def seen(run: Path) -> list[tuple[int, bool]]:
    return [(found.step, found.whole) for found in Inventory(run).read()]


def test_committed_checkpoints_are_found_in_order_and_nothing_else(tmp_path: Path) -> None:
    assert seen(tmp_path) == []
    checkpoint(tmp_path, 20)
    checkpoint(tmp_path, 3)
    (tmp_path / "checkpoints" / ".step-00000030.tmp").mkdir()
    (tmp_path / "checkpoints" / "step-00000040").mkdir()
    assert seen(tmp_path) == [(3, True), (20, True)]


def test_a_checkpoint_that_is_not_whole_is_not_verified(tmp_path: Path) -> None:
    (checkpoint(tmp_path, 1) / "model.safetensors").write_bytes(b"short")
    (checkpoint(tmp_path, 2) / "model.safetensors").unlink()
    manifest = checkpoint(tmp_path, 3) / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"step": 3', b'"step": 4'))
    (checkpoint(tmp_path, 5) / MANIFEST).write_text(json.dumps({"step": 5}), "utf-8")
    checkpoint(tmp_path, 6).rename(tmp_path / "checkpoints" / checkpoint_name(9))
    checkpoint(tmp_path, 10)
    assert seen(tmp_path) == [
        (1, False),
        (2, False),
        (3, False),
        (5, False),
        (9, False),
        (10, True),
    ]


def test_a_checkpoint_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 1)
    inventory = Inventory(tmp_path)
    (first,) = inventory.read()
    (path / "model.safetensors").unlink()
    (path / MANIFEST).unlink()
    path.rmdir()
    assert inventory.read() == ()
    checkpoint(tmp_path, 1, content=b"other weights")
    (second,) = inventory.read()
    assert second.whole
    assert second.digest != first.digest
