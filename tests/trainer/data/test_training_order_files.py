from pathlib import Path

import pytest

from lightgpt.order_file import read_training_file
from runcontract.faults import ConfigurationFault

ORDER = """
apiVersion: lightcompute.dev/v1alpha1
kind: TrainingOrder
run: {name: mine, uid: u-1}
training: {data: {dataset: tinyshakespeare}, maxSteps: 10}
checkpoints: {keepLatest: 5}
"""
RUN = """
apiVersion: lightcompute.dev/v1alpha1
kind: TrainingRun
metadata: {name: mine, uid: u-1, labels: {team: a}}
spec:
  training: {data: {dataset: tinyshakespeare}, maxSteps: 10}
  checkpoints: {keepLatest: 5}
  budget: {limitUSD: "20.00"}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text)
    return path


def test_a_run_and_an_order_that_say_the_same_are_the_same_order(tmp_path: Path) -> None:
    assert read_training_file(written(tmp_path, RUN)) == read_training_file(
        written(tmp_path, ORDER)
    )


@pytest.mark.parametrize("text", [ORDER, RUN])
def test_keys_are_set_below_training_in_both(tmp_path: Path, text: str) -> None:
    order = read_training_file(
        written(tmp_path, text), ["training.seed=7", "checkpoints.keepLatest=1"]
    )
    assert (order.training.seed, order.checkpoints.keep_latest) == (7, 1)


def test_a_key_of_a_run_may_be_named_with_its_spec(tmp_path: Path) -> None:
    path = written(tmp_path, RUN)
    order = read_training_file(path, ["spec.training.seed=7", "metadata.name=other"])
    assert (order.training.seed, order.run.name) == (7, "other")


def test_a_seed_that_is_not_written_comes_from_the_environment(tmp_path: Path) -> None:
    path = written(tmp_path, RUN)
    variables = {"GLOBAL_SEED": "5", "LIGHTCOMPUTE_RUN_UID": "other"}
    order = read_training_file(path, (), variables)
    assert (order.training.seed, order.run.uid) == (5, "u-1")
    assert read_training_file(path, ["training.seed=7"], variables).training.seed == 7
    unnamed = read_training_file(path, ["metadata.uid=null"], variables)
    assert unnamed.run.uid == "other"


@pytest.mark.parametrize("seed", ["x", "-1", "2147483648", "1.5"])
def test_a_seed_in_the_environment_that_is_none_is_refused(tmp_path: Path, seed: str) -> None:
    with pytest.raises(ConfigurationFault, match="environment variable GLOBAL_SEED"):
        read_training_file(written(tmp_path, RUN), (), {"GLOBAL_SEED": seed})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: TrainingCluster\n", "kind: found 'TrainingCluster'; expected TrainingOrder or TrainingRun"),
        ("kind: [x]\n", r"kind: found \['x'\]"),
        (RUN.replace("v1alpha1", "v9"), "apiVersion: found 'lightcompute.dev/v9'"),
        (RUN.replace("maxSteps: 10", "maxSteps: x"), r"spec\.training\.maxSteps: found 'x'"),
        (RUN.replace("maxSteps", "maxStep"), r"spec\.training\.maxStep: found 10; expected no such field"),
        (RUN.replace("keepLatest: 5", "keepLatest: 0"), r"spec\.checkpoints\.keepLatest: found 0"),
        (RUN.replace("name: mine", "name: Not_A_Label"), r"metadata\.name: found 'Not_A_Label'"),
        (RUN.replace("  training: {data: {dataset: tinyshakespeare}, maxSteps: 10}\n", ""), r"spec\.training: found nothing"),
        ("apiVersion: lightcompute.dev/v1alpha1\nkind: TrainingRun\nmetadata: {name: a}\n", "spec: found nothing"),
        ("apiVersion: lightcompute.dev/v1alpha1\nkind: TrainingRun\nmetadata: 5\n", "metadata: found 5"),
        (ORDER.replace("maxSteps: 10", "maxSteps: x"), r"training\.maxSteps: found 'x'"),
        ("- a\n", "a mapping of keys to values"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationFault, match=said):
        read_training_file(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match=r"none\.yaml: found No such file"):
        read_training_file(tmp_path / "none.yaml")
