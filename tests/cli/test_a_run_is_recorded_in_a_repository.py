"""`lightcompute record`: a finished run becomes a commit, tagged where its target was met; what is refused is refused before anything is written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightcompute.api import Phase, TrainingRun, TrainingRunStatus
from lightcompute.api.came_out import RunResults
from lightcompute.cli.main import main
from lightcompute.local.folder import RunFolder
from lightcompute.local.store import RunStore
from lightcompute.testing.builders import an_attempt, at
from runcontract.audit import Audit, Hardware
from runcontract.losses import Loss
from runcontract.order import Data, Training
from runcontract.results import KeptCheckpoint, Results, TargetVerdict

FILES = {"metrics.csv", "audit.json", "results.json", "run.yaml", "README.md"}
FINISHED: dict[str, Any] = {"phase": Phase.SUCCEEDED, "completion_time": at(60)}
Record = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch", "main")
    return path


def git(repo: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(repo), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def record(repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Record:
    """Calls the command for the run `shakespeare`: its exit code, and what it said."""

    def call(*options: str, name: str = "shakespeare") -> tuple[int, str]:
        where = ("--repo", str(repo), "--runs-dir", str(tmp_path / "runs"))
        with pytest.raises(SystemExit) as ended:
            main(["record", name, *where, *options])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return call


def verdict(reached: float = 1.47) -> TargetVerdict:
    return TargetVerdict(
        metric="ValidationLoss",
        unit="NatsPerCharacter",
        at_most=1.55,
        reached=reached,
        met=reached <= 1.55,
    )


def finished(
    tmp_path: Path,
    target: TargetVerdict | None = None,
    *,
    name: str = "shakespeare",
    sample: str = "To be,\n~~~\nor not | to be.",
    **status: Any,
) -> RunFolder:
    """A run of our trainer that came to its end."""
    folder = RunFolder(tmp_path / "runs" / name)
    training = Training(data=Data(dataset="tinyshakespeare"), max_steps=100).document()
    run = {"metadata": {"name": name}, "spec": {"training": training}}
    created = RunStore(folder).create(TrainingRun.model_validate(run))
    loss = Loss(nats_per_token=3.1, nats_per_character=1.47, bits_per_byte=2.12)
    results = Results(
        reason="MaxStepsReached", message="All 100 steps were done.", exit_code=0, attempt=1, steps=100, max_steps=100,
        epochs=1.5, tokens=204800, parameters=10_646_784, started_time=at(0), finished_time=at(60), training_seconds=50,
        tokens_per_second=4096, final_validation=loss, best_validation=loss, best_step=100, target=target, sample=sample,
        checkpoints=(KeptCheckpoint(name="step-00000100", step=100, size_bytes=1, digest="d" * 64, verified=True),),
    )  # fmt: skip
    audit = Audit(
        run_name=name, run_uid=str(created.metadata.uid), attempt=1, started_time=at(0), command=("lightgpt", "train"),
        packages={"torch": "2.15.0"}, python="3.11.7 (main)", platform="Linux", seeds={"GLOBAL_SEED": 1337}, environment={},
        hardware=Hardware(machine="x86_64", cpu="EPYC", cpu_count=2, threads=2, memory_bytes=1), deterministic=True,
        order_sha256="a" * 64, configuration_hash="b" * 64, data_sha256="c" * 64, tokenizer_sha256="e" * 64,
        training_tokens=1000, validation_tokens=100,
    )  # fmt: skip
    told = RunResults.model_validate(results.document())
    attempt = an_attempt(price="3.60").model_copy(update={"start_time": at(0), "end_time": at(60)})
    document = TrainingRunStatus(results=told, attempts=(attempt,), **(FINISHED | status))
    RunStore(folder).write_status(document, version=str(created.metadata.resource_version))
    (folder.path / "metrics.csv").write_text("step,training_loss\n100,3.2\n", "utf-8")
    (folder.path / "audit.json").write_text(json.dumps(audit.document()), "utf-8")
    (folder.path / "results.json").write_text(json.dumps(results.document()), "utf-8")
    return folder


def recorded(repo: Path, folder: str = "runs/shakespeare") -> set[str]:
    return {
        Path(name).name
        for name in git(repo, "ls-tree", "--name-only", "HEAD", f"{folder}/").split()
    }


def test_a_run_that_met_its_target_is_committed_and_tagged(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    folder = finished(tmp_path, verdict())
    code, said = record("--tag", "baseline-v0")
    assert (code, "Tagged: baseline-v0" in said) == (0, True), said
    assert recorded(repo) == FILES
    for name in ("metrics.csv", "audit.json", "results.json"):
        there = subprocess.check_output(
            ["git", "-C", str(repo), "show", f"baseline-v0:runs/shakespeare/{name}"]
        )
        assert there == (folder.path / name).read_bytes()
    assert git(repo, "cat-file", "-t", "baseline-v0") == "tag"
    subject = git(repo, "log", "-1", "--format=%s")
    assert subject == "Record shakespeare: 100 steps, validation 1.4700 nats/character, target met"
    assert git(repo, "status", "--short") == ""


def test_the_card_says_how_good_it_is_of_what_and_how_to_use_it(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    finished(tmp_path, verdict())
    assert record()[0] == 0
    card = git(repo, "show", "HEAD:runs/shakespeare/README.md")
    for words in (
        "10,646,784 parameters",
        "| validation, lowest (step 100) | 3.1000 | 1.4700 | 2.1200 |",
        "Target met: ValidationLoss at most 1.55 nats/character, reached 1.4700 nats/character.",
        "data set tinyshakespeare",
        "c" * 64,
        "step-00000100",
        "lightgpt generate",
        "| seeds | GLOBAL_SEED 1337 |",
    ):
        assert words in card
    # No line that the model wrote ends the block that it stands in.
    assert card.count("\n~~~") == 6


def test_the_record_of_the_run_says_nothing_of_this_machine(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    finished(tmp_path, verdict())
    record()
    document = yaml.safe_load(git(repo, "show", "HEAD:runs/shakespeare/run.yaml"))
    assert set(document["metadata"]) == {"name", "uid", "creationTimestamp"}
    assert document["status"]["results"]["steps"] == 100
    assert document["spec"]["training"]["maxSteps"] == 100
    assert str(tmp_path) not in json.dumps(document)


def test_the_recorded_run_can_be_trained_again(
    tmp_path: Path, repo: Path, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(tmp_path, verdict())
    record()
    with pytest.raises(SystemExit) as ended:
        main(["validate", str(repo / "runs" / "shakespeare" / "run.yaml")])
    assert not ended.value.code, capsys.readouterr()


def test_twice_is_the_same_as_once(tmp_path: Path, repo: Path, record: Record) -> None:
    finished(tmp_path, verdict())
    record("--tag", "baseline-v0")
    before = git(repo, "rev-parse", "HEAD", "baseline-v0")
    code, said = record("--tag", "baseline-v0")
    assert code == 0
    assert "Already recorded" in said
    assert "Already tagged" in said
    assert git(repo, "rev-parse", "HEAD", "baseline-v0") == before


@pytest.mark.parametrize("left", ["files", "staged", "commit"])
def test_what_a_killed_record_left_is_finished_by_the_next(
    tmp_path: Path, repo: Path, record: Record, left: str
) -> None:
    finished(tmp_path, verdict())
    record()
    if left != "commit":
        git(repo, "update-ref", "-d", "HEAD")
        if left == "files":
            git(repo, "rm", "--quiet", "-r", "--cached", "runs")
            (repo / "runs" / "shakespeare" / "metrics.csv").write_text("hal", "utf-8")
    code, said = record("--tag", "v1")
    assert (code, recorded(repo)) == (0, FILES), said
    assert git(repo, "rev-list", "--count", "v1") == "1"
    assert git(repo, "status", "--short") == ""


def test_other_changes_in_the_repository_are_left_as_they_are(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    (repo / "notes.txt").write_text("one\n", "utf-8")
    git(repo, "add", "notes.txt")
    git(repo, "commit", "--quiet", "-m", "notes")
    (repo / "notes.txt").write_text("two\n", "utf-8")
    git(repo, "add", "notes.txt")
    (repo / "loose.txt").write_text("three\n", "utf-8")
    finished(tmp_path)
    assert record()[0] == 0
    assert git(repo, "status", "--short") == "M  notes.txt\n?? loose.txt"
    assert git(repo, "show", "HEAD:notes.txt") == "one"


def test_what_the_repository_ignores_is_recorded_all_the_same(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    (repo / ".gitignore").write_text("runs/\n*.csv\n", "utf-8")
    finished(tmp_path)
    assert record()[0] == 0
    assert recorded(repo) == FILES


def test_a_subfolder_of_the_repository_names_it_and_the_path_may_be_chosen(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    finished(tmp_path)
    (repo / "deep").mkdir()
    assert record("--repo", str(repo / "deep"), "--path", "models/bard")[0] == 0
    assert recorded(repo, "models/bard") == FILES


def test_without_a_tag_a_missed_target_is_recorded_as_missed(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    finished(tmp_path, verdict(1.61))
    assert record()[0] == 0
    assert "target missed" in git(repo, "log", "-1", "--format=%s")
    assert "Target missed" in git(repo, "show", "HEAD:runs/shakespeare/README.md")


def spoil(folder: RunFolder, name: str, **changes: Any) -> None:
    path = folder.path / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


MISSED = verdict(1.61).document()


@pytest.mark.parametrize(
    ("target", "status", "spoiled", "options", "words"),
    [
        (None, {}, None, ("--tag", "v0"), "no target"),
        (verdict(1.61), {}, None, ("--tag", "v0"), "ValidationLoss 1.6100 nats/character; expected at most 1.55"),
        (verdict(), {"phase": Phase.SUSPENDED}, None, (), "found Suspended; expected a run that has succeeded"),
        (verdict(), {"phase": Phase.FAILED}, None, (), "found Failed"),
        (verdict(), {}, ("results.json", {"target": MISSED}), (), "other results than those in the run's status"),
        (verdict(), {}, ("results.json", {"steps": 99}), (), "other results than those in the run's status"),
        (verdict(), {}, ("audit.json", {"run_uid": "x", "runUid": "another"}), (), "the UID another"),
        (verdict(), {}, None, ("--tag", "no good"), "expected a name that git takes"),
        (verdict(), {}, None, ("--path", "../outside"), "not below the repository"),
        (verdict(), {}, None, ("--path", "/outside"), "not below the repository"),
        (verdict(), {}, None, ("--path", "."), "not below the repository"),
        (verdict(), {}, None, ("--path", "taken"), "something else than an earlier record of this run"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_no_record_is_refused_and_nothing_is_written(  # noqa: PLR0917 - a table of five columns
    tmp_path: Path,
    repo: Path,
    record: Record,
    target: TargetVerdict | None,
    status: dict[str, Any],
    spoiled: tuple[str, dict[str, Any]] | None,
    options: tuple[str, ...],
    words: str,
) -> None:
    (repo / "taken").mkdir()
    folder = finished(tmp_path, target, **status)
    if spoiled is not None:
        spoil(folder, spoiled[0], **spoiled[1])
    code, said = record(*options)
    assert code == 10, said
    assert words in " ".join(said.split())
    assert sorted(path.name for path in repo.iterdir()) == [".git", "taken"]
    assert git(repo, "tag", "--list") == ""
    assert not (tmp_path / "outside").exists()


def test_a_verdict_that_its_numbers_do_not_give_is_refused(tmp_path: Path, record: Record) -> None:
    finished(tmp_path, verdict(1.61).model_copy(update={"met": True}))
    code, said = record("--tag", "v0")
    assert code == 10
    assert "the verdict that these numbers give" in said


def test_a_tag_stays_what_it_is(tmp_path: Path, repo: Path, record: Record) -> None:
    finished(tmp_path, verdict())
    finished(tmp_path, verdict(1.5), name="another")
    record("--tag", "v0")
    before = git(repo, "rev-parse", "HEAD", "v0")
    code, said = record("--tag", "v0", name="another")
    assert (code, "a tag that is free" in said) == (10, True), said
    assert git(repo, "rev-parse", "HEAD", "v0") == before
    assert git(repo, "status", "--short") == ""


def test_the_place_of_another_run_s_record_is_not_taken(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    finished(tmp_path)
    finished(tmp_path, name="another")
    record("--path", "models/best")
    code, said = record("--path", "models/best", name="another")
    assert (code, "the record of a run with the UID" in said) == (10, True), said


def test_a_folder_that_leads_out_of_the_repository_is_refused(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (repo / "runs").symlink_to(tmp_path / "elsewhere")
    finished(tmp_path)
    code, said = record()
    assert (code, "not below the repository" in said) == (10, True), said
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_is_no_repository_is_told(tmp_path: Path, record: Record) -> None:
    finished(tmp_path)
    (tmp_path / "plain").mkdir()
    code, said = record("--repo", str(tmp_path / "plain"))
    assert (code, "not a git repository" in said) == (10, True), said


def test_who_has_no_name_in_git_is_told_so_and_the_next_call_finishes_it(
    tmp_path: Path, repo: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(tmp_path)
    with monkeypatch.context() as nameless:
        for who in ("AUTHOR", "COMMITTER"):
            nameless.setenv(f"GIT_{who}_NAME", "")
        code, said = record()
        assert (code, "git commit" in said) == (10, True), said
    assert record()[0] == 0
    assert recorded(repo) == FILES


def test_a_call_from_within_a_hook_of_another_repository_means_the_one_that_was_named(
    tmp_path: Path, repo: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other.index"))
    code, said = record()
    monkeypatch.undo()
    assert (code, recorded(repo)) == (0, FILES), said


def test_files_from_elsewhere_stand_for_those_of_the_run(
    tmp_path: Path, repo: Path, record: Record
) -> None:
    folder = finished(tmp_path)
    copied = tmp_path / "copied"
    copied.mkdir()
    for name in ("metrics.csv", "audit.json", "results.json"):
        (folder.path / name).rename(copied / name)
    code, said = record()
    assert (code, "audit.json" in said) == (10, True), said
    assert record("--files", str(copied))[0] == 0
    assert recorded(repo) == FILES
