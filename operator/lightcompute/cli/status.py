"""`lightcompute status` and `lightcompute list`: how runs on this machine are doing, by their documents and logs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from lightcompute.api import Phase, TrainingRun
from lightcompute.cli import text
from lightcompute.cli.options import name_argument, runs_dir_option
from lightcompute.cli.view import RunView, view_of
from lightcompute.local import records
from lightcompute.local.folder import RunFolder, runs_root
from lightcompute.local.progress import newest_progress
from lightcompute.local.store import SOURCE, RunStore
from runcontract.document import dump_document
from runcontract.faults import ContractFault


@click.command()
@name_argument
@click.option("--yaml", "form", flag_value="yaml", help="Print the status document.")
@click.option("--json", "form", flag_value="json", help="Print the status document as JSON.")
@runs_dir_option
def status(name: str, form: str | None, runs_dir: Path | None) -> None:
    """Show how the run NAME is doing."""
    folder = runs_root(runs_dir).existing(name)
    run = RunStore(folder).read()
    match form:
        case "yaml":
            click.echo(dump_document(run.status.document()), nl=False)
        case "json":
            click.echo(json.dumps(run.status.document(), ensure_ascii=False, indent=1))
        case _:
            click.echo(_told(run, folder))


@click.command(name="list")
@runs_dir_option
def list_runs(runs_dir: Path | None) -> None:
    """List the runs on this machine."""
    runs = runs_root(runs_dir)
    found = runs.all()
    if not found:
        click.echo(f"No runs in {runs.root}. `lightcompute run FILE` makes one.")
        return
    header = ("NAME", "PHASE", "STEP", "VALIDATION LOSS", "COST", "CREATED")
    click.echo(text.columns(header, (_row(folder) for folder in found)))


def _row(folder: RunFolder) -> tuple[str, ...]:
    try:
        run = RunStore(folder).read()
    except ContractFault:
        return (folder.name, "unreadable", "", "", "", "")
    view = _view(run, folder)
    created = run.metadata.creation_timestamp
    return (
        folder.name,
        _phase(run, folder),
        view.step_text() if view.step else "",
        view.validation_text(),
        text.usd(view.spent) if view.has_price else "",
        text.clock(created) if created else "",
    )


def _view(run: TrainingRun, folder: RunFolder) -> RunView:
    return view_of(run, newest_progress(run, folder), records.now())


def _phase(run: TrainingRun, folder: RunFolder) -> str:
    live = any(attempt.is_live for attempt in run.status.attempts)
    return f"{run.status.phase}*" if live and not folder.has_controller() else str(run.status.phase)


def _told(run: TrainingRun, folder: RunFolder) -> str:
    view = _view(run, folder)
    rows = (
        ("phase", str(view.phase)),
        ("why", view.message),
        ("step", view.step_text() if view.step or view.max_steps else ""),
        ("training loss", view.training_text()),
        ("validation loss", view.validation_text()),
        ("best validation loss", text.losses(view.best_validation) if view.best_validation else ""),
        ("speed", f"{text.count(view.tokens_per_second)} tokens/s" if view.tokens_per_second else ""),
        ("time left", "" if view.remaining_seconds is None or not _live(run) else text.duration(view.remaining_seconds)),
        ("cost", view.cost_text()),
        ("attempts", str(view.attempt) if view.attempt else ""),
        ("checkpoints", ", ".join(text.count(c.step) for c in run.status.checkpoints if c.verified)),
        ("folder", str(folder.path)),
        ("document", str(folder.status_file)),
        ("to go on", _to_go_on(run)),
    )  # fmt: skip
    alone = _live(run) and not folder.has_controller()
    note = (
        "\nNobody acts for this run now: what runs goes on to its end or its deadline. "
        f"`lightcompute stop {run.metadata.name}` ends it; to take it up: {_command(run)}"
        if alone
        else ""
    )
    return f"{view.name}\n{text.table(rows)}{note}"


def _to_go_on(run: TrainingRun) -> str:
    match run.status.phase:
        case Phase.SUSPENDED | Phase.FAILED:
            return _command(run)
        case Phase.BUDGET_EXHAUSTED:
            return f"raise spec.budget.limitUSD, then {_command(run)}"
        case _:
            return ""


def _command(run: TrainingRun) -> str:
    """What goes on with the run; changes by --set that it was made with must be given again."""
    file = run.metadata.annotations.get(SOURCE, "FILE")
    return shlex.join(["lightcompute", "run", file, "--name", run.metadata.name])


def _live(run: TrainingRun) -> bool:
    return any(attempt.is_live for attempt in run.status.attempts)
