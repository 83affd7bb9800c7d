"""`lightcompute record`: what came of a finished run, as a commit of a git repository, with a tag where its target was met.

Everything that can be refused is refused before anything is written. Once more is the same as once: a record that is there already
is not committed again, and a commit without its tag gets it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, TypeVar

import click

from lightcompute.api import Phase, TrainingRun
from lightcompute.cli import text
from lightcompute.cli.git_repository import Repository
from lightcompute.cli.model_card import model_card
from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.target import Target
from lightcompute.local.backend import read_report
from runcontract import folder as names
from runcontract.audit import Audit
from runcontract.document import dump_document, parse_document
from runcontract.faults import ConfigurationFault, Fault
from runcontract.results import Results

CARD = "README.md"
RUN = "run.yaml"
_COPIED = (names.METRICS, names.AUDIT, names.RESULTS)
_MAX_FILE_BYTES = 50 << 20
"""What is larger belongs into no git repository."""

_Report = TypeVar("_Report", Audit, Results)


@click.command()
@name_argument
@click.option(
    "--repo",
    required=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A git repository, or a folder in one.",
)
@click.option(
    "--tag", help="Tag the commit so, such as baseline-v0; refused where the run met no target."
)
@click.option("--path", "inside", help="Folder in the repository. [default: runs/NAME]")
@click.option(
    "--files",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with what the trainer left; a run in a cluster needs it, copied from its claim.",
)
@target_options
def record(
    name: str, repo: Path, tag: str | None, inside: str | None, files: Path | None, target: Target
) -> None:
    """Commit metrics, audit trail, results and model card of the finished run NAME, and tag them."""
    found = target.run(name)
    run = found.sight().run
    _refuse_unfinished(run)
    source = files or found.output()
    if source is None:
        _refuse(f"run {name}", "a run in a cluster, whose files are on its claim",
                "a folder on this machine that holds them",
                f"Copy {names.METRICS}, {names.AUDIT} and {names.RESULTS} from its claim, and give their folder by --files.")  # fmt: skip
    audit, results = _report(source, names.AUDIT, Audit), _report(source, names.RESULTS, Results)
    _refuse_strangers(run, audit, results, source)
    if tag is not None:
        _refuse_missed(run, results, tag)
    documents = {each: _read(source / each) for each in _COPIED}
    documents[RUN] = dump_document(_document(run)).encode()
    documents[CARD] = model_card(run, results, audit).encode()
    _record(Repository(repo), run, documents, inside or f"runs/{name}", tag, _said(results))


def _record(
    repository: Repository,
    run: TrainingRun,
    documents: dict[str, bytes],
    inside: str,
    tag: str | None,
    said: str,
) -> None:
    name = run.metadata.name
    folder = _folder(repository.root, inside)
    _refuse_anothers(repository.root / folder, run)
    tagged = repository.tagged(tag) if tag else ""
    before = repository.head()
    if tagged and repository.holds(tagged, folder) != repository.holds(before, folder):
        _refuse(f"tag {tag}", f"commit {tagged[:12]}, which holds another record of {folder}", "a tag that is free",
                "Choose another name: a tag that people may have fetched stays what it is.")  # fmt: skip
    if tagged and _differs(repository.root / folder, documents):
        _refuse(f"tag {tag}", f"commit {tagged[:12]}, which holds this run as it was before", "a tag that is free",
                "Choose another name.")  # fmt: skip
    _write(repository.root / folder, documents)
    commit = repository.commit(folder, f"Record {name}: {said}")
    news = "Committed" if commit != before else "Already recorded"
    click.echo(f"{news}: {folder} in {repository.root}, commit {commit[:12]}")
    if tag is not None and not tagged:
        repository.tag(tag, commit, f"{name}: {said}")
    if tag is not None:
        click.echo(f"Tagged: {tag}" if not tagged else f"Already tagged: {tag}")


def _refuse_unfinished(run: TrainingRun) -> None:
    if run.status.phase is not Phase.SUCCEEDED:
        _refuse(f"run {run.metadata.name}", str(run.status.phase),
                "a run that has succeeded: of any other the results are not final")  # fmt: skip
    if run.spec.training is None:
        _refuse(f"run {run.metadata.name}", "a program of its own",
                "a run of spec.training, which leaves results and an audit trail")  # fmt: skip


def _refuse_strangers(run: TrainingRun, audit: Audit, results: Results, source: Path) -> None:
    """Files and status must tell of the same training, and the verdict must be the one that the numbers give."""
    if audit.run_uid != run.metadata.uid:
        _refuse(str(source / names.AUDIT), f"the audit trail of the run {audit.run_name} with the UID {audit.run_uid}",
                f"that of {run.metadata.name} with the UID {run.metadata.uid}")  # fmt: skip
    told = run.status.results
    if told is None or (told.steps, told.target) != (results.steps, results.target):
        _refuse(str(source / names.RESULTS), "other results than those in the run's status",
                "the same: one of the two was changed afterwards")  # fmt: skip
    verdict = results.target
    if verdict is not None and verdict.met is not _is_met(verdict.reached, verdict.at_most):
        _refuse(str(source / names.RESULTS), f"met: {verdict.met} for {verdict.reached} against {verdict.at_most}",
                "the verdict that these numbers give")  # fmt: skip


def _is_met(reached: float | None, at_most: float) -> bool:
    return reached is not None and reached <= at_most


def _refuse_missed(run: TrainingRun, results: Results, tag: str) -> None:
    verdict, name = results.target, run.metadata.name
    if verdict is None:
        _refuse(f"run {name}", "no target", f"a target that was met, to be tagged {tag}",
                "Nothing was recorded. Without --tag it is.")  # fmt: skip
    if not verdict.met:
        unit = text.UNITS[verdict.unit]
        reached = "nothing" if verdict.reached is None else f"{verdict.reached:.4f} {unit}"
        _refuse(f"run {name}", f"{verdict.metric} {reached}", f"at most {verdict.at_most:g} {unit}, to be tagged {tag}",
                "Nothing was recorded. Without --tag it is.")  # fmt: skip


def _refuse_anothers(folder: Path, run: TrainingRun) -> None:
    """What is there may be an earlier record of the same run, and nothing else."""
    if not folder.exists():
        return
    try:
        there = parse_document((folder / RUN).read_text("utf-8"), where=str(folder / RUN))
        uid = there["metadata"]["uid"]
    except (OSError, ValueError, KeyError, TypeError):  # a ContractFault is a ValueError
        uid = None
    if uid != run.metadata.uid:
        _refuse(str(folder), "something else than an earlier record of this run" if uid is None else f"the record of a run with the UID {uid}",
                "a folder that does not exist yet", "Choose another by --path.")  # fmt: skip


def _folder(root: Path, inside: str) -> str:
    """`inside` as a path in the repository that leads out of it by no link and no `..`."""
    path = PurePosixPath(inside)
    resolved = (root / path).resolve()
    if (
        path.is_absolute()
        or resolved == root.resolve()
        or not resolved.is_relative_to(root.resolve())
    ):
        _refuse(f"--path {inside}", "a folder that is not below the repository's", "a folder in the repository, such as runs/NAME")  # fmt: skip
    return resolved.relative_to(root.resolve()).as_posix()


def _report(source: Path, name: str, model: type[_Report]) -> _Report:
    found = read_report(source / name, model)
    if found is None:
        _refuse(
            str(source / name), "nothing that can be read", "what our trainer leaves when it ends"
        )
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        _refuse(str(path), error.strerror or str(error), "a file that can be read")
    if len(content) > _MAX_FILE_BYTES:
        _refuse(str(path), "a larger file", f"at most {text.size(_MAX_FILE_BYTES)}")
    return content


def _document(run: TrainingRun) -> dict[str, Any]:
    """The run, without what only where it lies means something: annotations, versions, finalizers."""
    metadata = {"name": run.metadata.name, "uid": run.metadata.uid}
    if run.metadata.creation_timestamp is not None:
        metadata["creationTimestamp"] = run.metadata.creation_timestamp.isoformat()
    return {**run.document(), "metadata": metadata}


def _said(results: Results) -> str:
    loss, verdict = results.best_validation, results.target
    parts = [f"{text.count(results.steps)} steps"]
    if loss is not None:
        parts.append(f"validation {loss.nats_per_character:.4f} nats/character")
    if verdict is not None:
        parts.append(f"target {'met' if verdict.met else 'missed'}")
    return ", ".join(parts)


def _differs(folder: Path, documents: dict[str, bytes]) -> bool:
    return any(
        not (folder / name).is_file() or (folder / name).read_bytes() != content
        for name, content in documents.items()
    )


def _write(folder: Path, documents: dict[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in documents.items():
            # A link that somebody put there must not lead the content elsewhere.
            (folder / name).unlink(missing_ok=True)
            (folder / name).write_bytes(content)
    except OSError as error:
        _refuse(str(folder), error.strerror or str(error), "a folder that can be written")


def _refuse(where: str, found: str, expected: str, action: str = "") -> NoReturn:
    raise ConfigurationFault(Fault(where=where, found=found, expected=expected, action=action))
