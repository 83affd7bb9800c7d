"""On this machine unless the cluster is meant; settled once for all verbs, and a cluster's client is loaded for a cluster only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lightcompute.cli.target import Whereabouts
from runcontract.faults import ConfigurationFault

FOLDER = Path("runs")


@pytest.mark.parametrize(
    ("said", "variable", "in_cluster"),
    [
        pytest.param({}, None, False, id="nothing means this machine"),
        pytest.param({"cluster": True}, None, True, id="the flag"),
        pytest.param({"namespace": "team"}, None, True, id="a namespace is enough"),
        pytest.param({"kubeconfig": FOLDER}, None, True, id="so is a kubeconfig"),
        pytest.param({"context": "eu"}, None, True, id="so is a context"),
        pytest.param({}, "cluster", True, id="the variable"),
        pytest.param({}, "local", False, id="the variable for this machine"),
        pytest.param({}, "", False, id="an empty variable is none"),
        pytest.param({"runs_dir": FOLDER}, "cluster", False, id="a folder wins over the variable"),
    ],
)
def test_what_is_said_decides_where(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, object], variable: str | None, in_cluster: bool
) -> None:
    monkeypatch.delenv("LIGHTCOMPUTE_ON", raising=False)
    if variable is not None:
        monkeypatch.setenv("LIGHTCOMPUTE_ON", variable)
    assert Whereabouts(**said).in_cluster is in_cluster  # type: ignore[arg-type]  # a table's values


@pytest.mark.parametrize(
    ("said", "variable", "words"),
    [
        ({"runs_dir": FOLDER, "namespace": "team"}, "local", "--runs-dir beside an option"),
        ({}, "moon", "LIGHTCOMPUTE_ON=moon"),
    ],
)
def test_what_says_both_or_neither_is_refused(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, object], variable: str, words: str
) -> None:
    monkeypatch.setenv("LIGHTCOMPUTE_ON", variable)
    with pytest.raises(ConfigurationFault, match=words):
        _ = Whereabouts(**said).in_cluster  # type: ignore[arg-type]  # a table's values


def imported_by(tmp_path: Path, *arguments: str) -> set[str]:
    code = (
        "import sys\n"
        "from lightcompute.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    print('\\nIMPORTED', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    return set(done.stdout.rpartition("IMPORTED")[2].split())


@pytest.mark.parametrize("verb", [("list",), ("status", "x"), ("logs", "x"), ("submit", "--help")])
def test_a_look_at_this_machine_loads_no_client_of_a_cluster(
    tmp_path: Path, verb: tuple[str, ...]
) -> None:
    heavy = {"kubernetes", "aiohttp", "kopf", "lightcompute.kube", "torch", "rich"}
    assert imported_by(tmp_path, *verb) & heavy == set()


def test_a_rank_on_this_machine_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "runs" / "one" / "attempts" / "1").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "run.yaml").touch()
    done = subprocess.run(
        [sys.executable, "-m", "lightcompute", "logs", "one", "--rank", "2"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 10
    assert "on this machine all processes of an attempt write one log" in done.stderr
