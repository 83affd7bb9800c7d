import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lightgpt.train.world import read_world
from runcontract.document import dump_document
from runcontract.exit_codes import ExitCode
from runcontract.faults import ConfigurationFault
from runcontract.results import Results
from support.testcluster.processes import free_ports
from support.training import Workshop, order_document, repeatable_rows

LOSS = 5


# Importing what DistributedDataParallel needs takes each process far longer than such a training: one launch serves two.
# torchrun's store still holds the addresses of the first rendezvous, so the second has a store of its own.
ONE_AFTER_THE_OTHER = """
import os, sys
from lightgpt.cli.main import main
port, first, first_out, second, second_out = sys.argv[1:]
for order, out in ((first, first_out), (second, second_out)):
    try:
        main(["train", order, "--out", out])
    except SystemExit as leaving:
        if leaving.code != 0:
            raise
    os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "False", "MASTER_PORT": port}
"""


def torchrun(folder: Path, *arguments: str, attempt: int = 1) -> Any:
    environment = os.environ | {
        "LIGHTCOMPUTE_CACHE": str(folder / "cache"),
        "LIGHTCOMPUTE_ATTEMPT": str(attempt),
        "LIGHTCOMPUTE_TERMINATION_LOG": str(folder / "termination"),
        "PYTHONHASHSEED": "1337",
        "OMP_NUM_THREADS": "1",
    }
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    return subprocess.Popen(
        [sys.executable, *launcher, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def written(folder: Path, name: str, document: dict[str, Any]) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(dump_document(document), encoding="utf-8")
    return str(path)


def training(folder: Path, document: dict[str, Any], *, attempt: int = 1) -> Any:
    """`lightgpt train` by torchrun as users have it, with its output in `out`."""
    order = written(folder, "shared-order", document)
    words = ("-m", "lightgpt", "train", order, "--out", str(folder / "out"))
    return torchrun(folder, *words, attempt=attempt)


def results_in(folder: Path) -> Results:
    return Results.model_validate_json((folder / "results.json").read_bytes())


@pytest.mark.slow
@pytest.mark.e2e
def test_two_processes_train_as_one_does(workshop: Workshop) -> None:
    documents = {
        kind: order_document(
            optimizer={"type": kind, "learningRate": 0.01},
            gradientAccumulationSteps=2,
            averaging={"decay": 0.5},
            maxSteps=6,
        )
        for kind in ("AdamW", "Muon")
    }
    program = workshop.folder / "one_after_the_other.py"
    program.write_text(ONE_AFTER_THE_OTHER, encoding="utf-8")
    (port,) = free_ports(1)
    process = torchrun(
        workshop.folder,
        str(program),
        str(port),
        *(
            word
            for kind, document in documents.items()
            for word in (written(workshop.folder, kind, document), str(workshop.folder / kind))
        ),
    )
    out, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    assert out.count('"event":"finished"') == len(documents)
    for kind, document in documents.items():
        alone = workshop.attempt(document, f"{kind}-alone")
        one = repeatable_rows(workshop.folder / f"{kind}-alone")
        two = repeatable_rows(workshop.folder / kind)
        assert len(one) == len(two) == 6
        # Muon's products are in bfloat16, which makes of the last bits' difference a larger one.
        near = 1e-4 if kind == "AdamW" else 2e-3
        for mine, theirs in zip(one, two, strict=True):
            assert float(theirs[LOSS]) == pytest.approx(float(mine[LOSS]), abs=near), kind
        results = results_in(workshop.folder / kind)
        assert results.test is not None
        assert alone.test is not None
        assert results.test.nats_per_token == pytest.approx(alone.test.nats_per_token, abs=near)
        assert results.tokens == alone.tokens


@pytest.mark.slow
@pytest.mark.e2e
def test_requests_are_answered_by_the_first_process_and_a_signal_to_the_launcher_is_agreed_on_saved_and_resumed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = workshop.folder / "requests"
    wanted.mkdir()
    monkeypatch.setenv("LIGHTCOMPUTE_REQUESTS", str(wanted))
    document = order_document(maxSteps=100_000, evaluation={"everySteps": 50, "batchSize": 32})
    document["checkpoints"] = {"everySteps": 100_000}
    process = training(workshop.folder, document)
    answers = 0
    for line in process.stdout:
        if '"step"' in line and answers == 0:
            (wanted / "checkpoint-now").write_text("first")
        if '"checkpoint"' in line:
            answers += 1
            (wanted / "checkpoint-now").write_text("second")
        if answers == 2:
            break
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    results = results_in(workshop.folder / "out")
    assert results.exit_code == ExitCode.PREEMPTED, errors
    for text in ("first", "second"):
        assert errors.count(f"request {text}: ") == 1, errors
    assert results.checkpoints[-1].step == results.steps > 0
    document["training"]["maxSteps"] = results.steps + 2
    again = training(workshop.folder, document, attempt=2)
    _, errors = again.communicate(timeout=280)
    assert again.returncode == 0, errors
    rows = [row[0] for row in repeatable_rows(workshop.folder / "out")]
    assert rows[-2:] == [str(results.steps + 1), str(results.steps + 2)]


def test_processes_that_cannot_share_a_batch_evenly_are_refused(workshop: Workshop) -> None:
    from lightgpt.data.sampler import rank_slice

    with pytest.raises(ConfigurationFault, match=r"training\.batchSize"):
        rank_slice(3, rank=0, world_size=2)


def test_torchruns_variables_make_the_world() -> None:
    variables = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    world = read_world(variables)
    assert (world.rank, world.size, world.local_rank, world.is_main) == (1, 2, 1, False)
    assert read_world({}).is_main
    with pytest.raises(ConfigurationFault, match="RANK"):
        read_world(variables | {"RANK": "2"})
