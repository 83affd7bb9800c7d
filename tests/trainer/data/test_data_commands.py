import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lightgpt.cli.data import data
from lightgpt.cli.tokenizer import tokenizer
from lightgpt.tokenizer.files import load_tokenizer
from runcontract.faults import ConfigurationFault, DataFault
from support.texts import play, write_text

RUN = """
apiVersion: lightcompute.dev/v1alpha1
kind: TrainingRun
metadata: {name: mine}
spec:
  training:
    data: {files: [text.txt]}
    tokenizer: {vocabSize: 128}
    model: {contextLength: 8}
    maxSteps: 10
"""


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTCOMPUTE_CACHE", str(tmp_path / "cache"))
    write_text(tmp_path, play(lines=800))
    path = tmp_path / "run.yaml"
    path.write_text(RUN)
    return path


def prepare(*arguments: str | Path) -> Result:
    return CliRunner().invoke(data, ["prepare", *map(str, arguments)], catch_exceptions=False)


def train(*arguments: str | Path) -> Result:
    return CliRunner().invoke(tokenizer, ["train", *map(str, arguments)], catch_exceptions=False)


def test_the_statistics_are_told_as_json(run_file: Path) -> None:
    document = json.loads(prepare(run_file, "--json").stdout)
    text = (run_file.parent / "text.txt").read_text()
    parts = document["parts"]
    assert [part["name"] for part in parts] == ["training", "validation", "test"]
    assert sum(part["characters"] for part in parts) == len(text)
    for part in parts:
        assert part["charactersPerToken"] == round(part["characters"] / part["tokens"], 4)
        assert part["bytesPerToken"] == round(part["bytesUtf8"] / part["tokens"], 4)
        assert 0 < part["vocabularyUsed"] <= 128
        assert part["unknownTokens"] == 0
        assert part["roundTripExact"] is True
    assert document["tokenizer"]["lossless"] is True
    assert document["tokenizer"]["trainedOnTrainingPartOnly"] is True
    assert len(document["tokenizer"]["sha256"]) == len(document["dataSha256"]) == 64


def test_the_statistics_are_told_as_a_table(run_file: Path) -> None:
    document = json.loads(prepare(run_file, "--json").stdout)
    said = prepare(run_file).stdout
    assert "BPE, 128 entries, lossless, made from the training part only" in said
    assert document["tokenizer"]["sha256"] in said
    assert document["dataSha256"] in said
    for part in document["parts"]:
        (line,) = [line for line in said.splitlines() if line.startswith(part["name"])]
        assert f"{part['tokens']:,}" in line.split()
        assert line.split()[-1] == "yes"


def test_what_a_tokenizer_loses_is_told(run_file: Path) -> None:
    said = prepare(
        run_file,
        *("--set", "training.tokenizer.lossless=false"),
        *("--set", "training.samples.tokens=0"),
    ).stdout
    assert "NOT lossless" in said
    assert said.count(" NO\n") == 3


def test_keys_can_be_set(run_file: Path) -> None:
    said = prepare(run_file, "--set", "training.tokenizer.vocabSize=100", "--json").stdout
    assert json.loads(said)["tokenizer"]["vocabSize"] == 100


def test_the_text_is_looked_for_beside_the_file_or_below_the_root_that_is_given(
    run_file: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = run_file.rename(elsewhere / "run.yaml")
    with pytest.raises(DataFault, match=r"elsewhere/text\.txt: found No such file"):
        prepare(moved)
    assert prepare(moved, "--data-root", tmp_path).exit_code == 0


def test_the_cache_can_be_named(run_file: Path, tmp_path: Path) -> None:
    said = json.loads(prepare(run_file, "--cache", tmp_path / "other", "--json").stdout)
    assert Path(said["folder"]).is_relative_to(tmp_path / "other")
    assert not (tmp_path / "cache").exists()


def test_a_trained_tokenizer_is_written_and_can_be_used(run_file: Path, tmp_path: Path) -> None:
    said = train(run_file, "--out", tmp_path / "out", "--json")
    document = json.loads(said.stdout)
    loaded = load_tokenizer(tmp_path / "out")
    assert loaded.sha256 == document["tokenizer"]["sha256"]
    again = prepare(
        run_file,
        *("--set", "training.tokenizer={path: out/tokenizer.model}"),
        "--json",
    )
    found = json.loads(again.stdout)
    assert found["tokenizer"]["sha256"] == loaded.sha256
    assert "trainedOnTrainingPartOnly" not in found["tokenizer"]
    assert [part["tokens"] for part in found["parts"]] == [
        part["tokens"] for part in document["parts"]
    ]


def test_where_the_tokenizer_went_is_told(run_file: Path, tmp_path: Path) -> None:
    assert (
        f"Written: {tmp_path}/out/tokenizer.model"
        in train(run_file, "--out", tmp_path / "out").stdout
    )


def test_a_tokenizer_that_is_given_cannot_be_trained(run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match=r"tokenizer\.path: found 'x\.model'"):
        train(run_file, "--out", tmp_path, "--set", "training.tokenizer={path: x.model}")


def test_the_commands_start_without_pytorch() -> None:
    code = "import sys, lightgpt.cli.data, lightgpt.cli.tokenizer; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize(
    ("assignment", "exit_code", "said"),
    [
        ("training.data.files=[none.txt]", 11, "none.txt: found No such file or directory"),
        ("training.tokenizer.vocabSize=99999", 11, "expected at most"),
        ("training.model.contextLength=131072", 11, "training.model.contextLength: found 131072"),
        ("training.tokenizer.vocab=9", 10, "spec.training.tokenizer.vocab: found 9"),
    ],
)
def test_a_fault_is_one_message_and_the_exit_code_of_its_kind(
    run_file: Path, assignment: str, exit_code: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lightgpt", "data", "prepare", run_file, "--set", assignment],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
