"""`reproduce` and `tensorboard` on a run that our own trainer has made."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.training import order_document, small_text

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
COMMAND = (sys.executable, "-m", "lightcompute")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/tiny`, a run that came to its end."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "text.txt").write_text(small_text(), encoding="utf-8")
    document = {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "tiny"},
        "spec": {
            "training": order_document()["training"],
            "budget": {"limitUSD": "1.00"},
        },
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    ended = lightcompute("run", "tiny.yaml", folder=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def lightcompute(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=os.environ | {"LIGHTCOMPUTE_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def get_json(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - an address of this machine
        return json.load(answer)


def test_a_run_is_repeated_bit_for_bit(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    again = lightcompute("reproduce", "tiny", "--json", folder=copy)
    assert again.returncode == 0, again.stdout + again.stderr
    verdict = json.loads(again.stdout.strip().splitlines()[-1])
    assert verdict == {
        "identical": True,
        "metricsIdentical": True,
        "weightsIdentical": True,
        "firstDifference": None,
    }


def test_a_run_whose_metrics_were_changed_is_not_reproduced(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    metrics = copy / "runs" / "tiny" / "metrics.csv"
    header, first, *rest = metrics.read_text(encoding="utf-8").splitlines()
    cells = first.split(",")
    column = header.split(",").index("training_loss_nats_per_token")
    cells[column] = str(float(cells[column]) + 1e-6)
    metrics.write_text("\n".join([header, ",".join(cells), *rest]) + "\n", encoding="utf-8")
    again = lightcompute("reproduce", "tiny", folder=copy)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "NOT REPRODUCED" in again.stdout
    assert "training_loss_nats_per_token" in again.stdout


def test_the_curves_of_a_run_are_served_on_this_machine_until_it_is_interrupted(
    finished: Path,
) -> None:
    served = subprocess.Popen(
        [*COMMAND, "tensorboard", "tiny", "--port", "0"],
        cwd=finished,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+/", served.stdout.readline())
        assert address is not None
        tags = get_json(f"{address.group()}data/plugin/scalars/tags")
    finally:
        served.send_signal(signal.SIGINT)
        served.communicate(timeout=60)
    assert served.returncode == 0
    (scalars,) = tags.values()
    assert {"learning_rate", "gradient_norm", "tokens_per_second"} <= set(scalars)
    assert "validation_loss/nats_per_character" in scalars
