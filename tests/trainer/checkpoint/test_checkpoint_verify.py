"""The verdict on a checkpoint from anywhere, and what it is based on."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import Tensor

from lightgpt.checkpoint.report import Severity, Verdict, VerificationReport
from lightgpt.checkpoint.snapshot import Snapshot
from lightgpt.checkpoint.store import CheckpointStore
from lightgpt.checkpoint.verify import verify_checkpoint
from lightgpt.cli.checkpoint import checkpoint as command
from lightgpt.model.gpt import GPT
from runcontract.document import parse_model
from runcontract.faults import CheckpointFault
from runcontract.manifest import MANIFEST, STATE_FILE, Manifest, ManifestFile, sealed_bytes
from runcontract.order import Checkpoints, Order, Training, configuration_hash
from support.checkpoints import IDENTITY, loss

TRAINING = parse_model(
    Training,
    {
        "data": {"dataset": "tinyshakespeare"},
        "maxSteps": 10,
        "tokenizer": {"type": "Byte"},
        "model": {"layers": 1, "embeddingSize": 16, "heads": 2, "contextLength": 8},
    },
)


def weights() -> dict[str, Tensor]:
    model = GPT(TRAINING.model, 256)
    model.initialize(1)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def saved(folder: Path, changes: dict[str, Tensor | None] | None = None, **state: Any) -> Path:
    """A checkpoint of a real model with some tensors changed or (None) left out."""
    model = {k: v for k, v in (weights() | (changes or {})).items() if v is not None}
    identity = replace(
        IDENTITY,
        configuration_hash=configuration_hash(TRAINING),
        training=TRAINING.document(),
        model=TRAINING.model.document() | {"vocabSize": 256},
        parameters=sum(tensor.numel() for tensor in weights().values()),
    )
    optimizer = {f"moment.{name}": torch.full_like(v, 1e-3) for name, v in weights().items()}
    snapshot = Snapshot(
        tensors={"model": model, "optimizer": optimizer},
        state={"schedule": {"step": 7}, "history": [1.0]} | state,
    )
    with CheckpointStore(folder, identity=identity, settings=Checkpoints()) as store:
        store.save(
            snapshot, step=7, epoch=0.7, tokens=56, validation=loss(3), best_validation=loss(2)
        )
        store.wait()
    return folder / "step-00000007"


def told(report: VerificationReport, severity: Severity = Severity.ERROR) -> str:
    return "\n".join(
        f"{f.where}: {f.found}; {f.expected}" for f in report.findings if f.severity is severity
    )


def test_a_good_checkpoint_is_valid_and_everything_about_it_is_told(tmp_path: Path) -> None:
    report = verify_checkpoint(saved(tmp_path))

    assert told(report) + told(report, Severity.WARNING) == ""
    assert report.verdict is Verdict.VALID
    assert (report.hashes, report.shapes) == ("Matched", "AsExpected")
    assert report.parameters == GPT(TRAINING.model, 256).parameter_count
    assert report.contents.document() == dict.fromkeys(
        ("model", "optimizer", "scheduler", "history"), True
    )
    assert report.origin is not None
    assert (report.origin.step, report.origin.epoch) == (7, 0.7)
    assert (report.origin.validation, report.origin.best_validation) == (loss(3), loss(2))
    assert (report.nan, report.infinite) == (0, 0)
    assert "step         7" in report.text()
    assert report.text().endswith("\nVALID")


def test_of_another_trainers_checkpoint_it_is_said_that_it_is_whole_and_no_more(
    tmp_path: Path,
) -> None:
    folder = foreign_checkpoint(tmp_path)
    report = verify_checkpoint(folder)
    assert report.verdict is Verdict.VALID_WITH_WARNINGS
    assert "hashes alone were compared" in told(report, Severity.WARNING)
    (folder / "weights.bin").write_bytes(b"otherwise")
    assert verify_checkpoint(folder).verdict is Verdict.INVALID


def test_one_of_ours_without_its_weights_is_invalid(tmp_path: Path) -> None:
    folder = foreign_checkpoint(tmp_path, model=TRAINING.model.document() | {"vocabSize": 256})
    assert "model.safetensors: no tensors of a model" in told(verify_checkpoint(folder))


def foreign_checkpoint(folder: Path, **parts: Any) -> Path:
    """Any files, with a manifest that names them."""
    contents = {"weights.bin": b"weights of some form", STATE_FILE: b'["what it likes"]'}
    manifest = Manifest(
        run_uid="run-1", attempt=1, step=7, epoch=0.7, tokens=56, parameters=3, created_time=datetime.now(UTC),
        configuration_hash="", tokenizer_sha256="", data_sha256="",
        files=tuple(
            ManifestFile(name=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            for name, content in contents.items()
        ),
        **({"model": {}} | parts),
    )  # fmt: skip
    checkpoint = folder / "step-00000007"
    checkpoint.mkdir()
    for name, content in contents.items():
        (checkpoint / name).write_bytes(content)
    (checkpoint / MANIFEST).write_bytes(sealed_bytes(manifest))
    return checkpoint


@pytest.mark.parametrize(
    ("value", "where", "expected"),
    [
        (float("nan"), (1, 2), "2 of 256 values are NaN"),
        (float("inf"), (3, 4), "2 of 256 values are infinite"),
        (float("-inf"), (3, 4), "2 of 256 values are infinite"),
        (-1e7, (0, 1), "a value of -1e+07; none beyond 1,000,000"),
    ],
)
def test_values_that_no_good_training_has_make_it_invalid(
    tmp_path: Path, value: float, where: tuple[int, int], expected: str
) -> None:
    name = "blocks.0.attention.output.weight"
    weight = weights()[name]
    weight[where[0], where[1]] = weight[5, 6] = value
    report = verify_checkpoint(saved(tmp_path, {name: weight}))
    assert report.verdict is Verdict.INVALID
    assert f"model.safetensors: {name}: {expected}" in told(report)


def test_a_tensor_of_zeros_is_a_warning(tmp_path: Path) -> None:
    name = "blocks.0.mlp.up.weight"
    report = verify_checkpoint(saved(tmp_path, {name: torch.zeros_like(weights()[name])}))
    assert report.verdict is Verdict.VALID_WITH_WARNINGS
    assert name in told(report, Severity.WARNING)
    assert report.exit_code == 0


def test_tensors_that_are_missing_strange_or_of_another_shape_are_named(tmp_path: Path) -> None:
    changes = {
        "final_norm.gain": None,
        "stranger": torch.ones(3),
        "blocks.0.mlp.up.weight": torch.ones(2, 2),
    }
    report = verify_checkpoint(saved(tmp_path, changes))
    assert report.shapes == "Different"
    for line in (
        "final_norm.gain: no such tensor; shape [16]",
        "stranger: shape [3]; no such tensor",
        "mlp.up.weight: shape [2, 2]; shape [64, 16]",
    ):
        assert line in told(report)
    assert "parameters; " in told(report)


def test_what_a_training_needs_to_go_on_is_missed(tmp_path: Path) -> None:
    path = saved(tmp_path)
    snapshot = Snapshot(tensors={"model": weights()}, state={})
    with CheckpointStore(
        tmp_path, identity=replace(IDENTITY, attempt=2), settings=Checkpoints()
    ) as store:
        store.save(snapshot, step=8, epoch=0, tokens=0)
        store.wait()
    report = verify_checkpoint(path.with_name("step-00000008"))
    for name in ("optimizer", "scheduler", "history"):
        assert f"no {name} state" in told(report, Severity.WARNING)
    assert "optimizer MISSING" in report.text()


def test_altered_files_are_invalid_by_their_hash(tmp_path: Path) -> None:
    for name in ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"):
        path = saved(tmp_path / name)
        content = bytearray((path / name).read_bytes())
        content[-2] ^= 1
        (path / name).write_bytes(content)
        report = verify_checkpoint(path)
        assert report.verdict is Verdict.INVALID
        assert name in told(report)


def test_a_file_beside_those_of_the_manifest_is_a_warning(tmp_path: Path) -> None:
    path = saved(tmp_path)
    (path / "notes.txt").write_text("mine")
    report = verify_checkpoint(path)
    assert "notes.txt" in told(report, Severity.WARNING)


def test_another_training_is_told_by_its_field(tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert verify_checkpoint(path, against=TRAINING).verdict is Verdict.VALID
    other = TRAINING.model_copy(update={"seed": 7})
    report = verify_checkpoint(path, against=other)
    assert "training.seed: 1337 in the checkpoint" in told(report)


def test_a_bare_file_is_judged_by_its_values_and_against_an_order_by_its_shapes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "any.safetensors"
    save_file(weights(), path)
    assert verify_checkpoint(path).verdict is Verdict.VALID
    assert verify_checkpoint(path).hashes == "NotRecorded"
    assert verify_checkpoint(path, against=TRAINING).shapes == "AsExpected"
    wider = TRAINING.model_copy(
        update={"model": TRAINING.model.model_copy(update={"mlp_hidden_size": 32})}
    )
    assert verify_checkpoint(path, against=wider).verdict is Verdict.INVALID


def sharded(folder: Path) -> Path:
    folder.mkdir()
    save_file({"a": torch.ones(3)}, folder / "model-1.safetensors")
    save_file({"b": torch.ones(4)}, folder / "model-2.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_a_sharded_model_is_read_as_one(tmp_path: Path) -> None:
    report = verify_checkpoint(sharded(tmp_path / "hub"))
    assert (report.verdict, report.kind, report.parameters) == (Verdict.VALID, "ShardedModel", 7)


def test_shards_and_index_must_agree(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "swapped")
    save_file({"a": torch.ones(3)}, folder / "model-2.safetensors")
    report = verify_checkpoint(folder)
    assert "model-2.safetensors: b: no such tensor" in told(report)
    assert "model-2.safetensors: a: the same name in model-1.safetensors" in told(report)

    folder = sharded(tmp_path / "missing")
    (folder / "model-2.safetensors").unlink()
    assert "model-2.safetensors is missing" in told(verify_checkpoint(folder))


@pytest.mark.parametrize("name", ["../out.safetensors", "/etc/x.safetensors", "a/b.safetensors", 7])
def test_an_index_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: object) -> None:
    folder = sharded(tmp_path / "hub")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    assert "names files that are no .safetensors files beside it" in told(verify_checkpoint(folder))


def test_of_a_run_the_newest_is_verified_and_with_all_every_one(tmp_path: Path) -> None:
    saved(tmp_path / "run" / "checkpoints")
    newest = CliRunner().invoke(command, ["verify", str(tmp_path / "run"), "--json"])
    assert newest.exit_code == 0
    assert json.loads(newest.output)["verdict"] == "VALID"
    everything = CliRunner().invoke(command, ["verify", str(tmp_path / "run"), "--json", "--all"])
    assert [report["verdict"] for report in json.loads(everything.output)] == ["VALID"]


def test_the_exit_status_follows_the_verdict(tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert CliRunner().invoke(command, ["verify", str(path)]).exit_code == 0
    (path / "state.json").write_text("{}")
    result = CliRunner().invoke(command, ["verify", str(path)])
    assert result.exit_code == 14
    assert result.output.rstrip().endswith("INVALID")


@pytest.mark.parametrize("kind", ["Order", "TrainingRun"])
def test_a_checkpoint_is_compared_with_either_kind_of_document(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path / "checkpoints")
    order = Order(training=TRAINING).document()
    document = order if kind == "Order" else {"kind": kind, "spec": {"training": order["training"]}}
    file = tmp_path / "order.yaml"
    file.write_text(json.dumps(document))
    result = CliRunner().invoke(command, ["verify", str(path), "--against", str(file)])
    assert result.exit_code == 0, result.output


def test_where_nothing_is_nothing_is_verified(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CheckpointFault, match="expected a checkpoint folder"):
            verify_checkpoint(path)


def test_pins_are_set_listed_and_taken_away(tmp_path: Path) -> None:
    saved(tmp_path)
    run = CliRunner()
    assert run.invoke(command, ["pin", str(tmp_path), "7"]).exit_code == 0
    assert "pinned" in run.invoke(command, ["list", str(tmp_path)]).output
    [row] = json.loads(run.invoke(command, ["list", str(tmp_path), "--json"]).output)
    assert (row["step"], row["pinned"], row["state"]) == (7, True, "Committed")
    assert run.invoke(command, ["unpin", str(tmp_path), "7"]).exit_code == 0
    assert "pinned" not in run.invoke(command, ["list", str(tmp_path)]).output
    missing = run.invoke(command, ["pin", str(tmp_path), "8"])
    assert isinstance(missing.exception, CheckpointFault)


MEASURED = """
import resource, sys, pathlib
from lightgpt.checkpoint.verify import verify_checkpoint
import lightgpt.checkpoint.expectations
baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = verify_checkpoint(pathlib.Path(sys.argv[1]))
print(report.verdict, report.size_bytes, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - baseline) // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    size = 600 << 20
    header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}})
    path = tmp_path / "large.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    with path.open("r+b") as file:
        file.truncate(8 + len(header) + size)  # a hole: it takes no space
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], check=True, capture_output=True, text=True
    )
    print(done.stdout)
    verdict, read_bytes, grown_mb = done.stdout.rsplit(maxsplit=2)
    assert verdict == "VALID WITH WARNINGS"  # all zero
    assert int(read_bytes) > size
    assert int(grown_mb) < 100
