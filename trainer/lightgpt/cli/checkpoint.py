"""`lightgpt checkpoint`: verify, list, pin, unpin, prune and copy. Parsing and printing only; torch is imported by what needs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runcontract import folder as run_folder
from runcontract.base import ReportModel
from runcontract.document import parse_model, read_document
from runcontract.exit_codes import ExitCode
from runcontract.faults import CheckpointFault, ConfigurationFault, Fault
from runcontract.manifest import MANIFEST, checkpoint_name
from runcontract.order import Checkpoints, Order, Training, read_order
from runcontract.requests import parse_pins

if TYPE_CHECKING:
    from lightgpt.checkpoint.report import VerificationReport

_PATH = click.Path(path_type=Path)


@click.group()
def checkpoint() -> None:
    """Verify, list, pin, prune and copy checkpoints."""


@checkpoint.command()
@click.argument("path", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--all", "everything", is_flag=True, help="Every checkpoint of a run; as JSON, a list."
)
@click.option("--against", type=_PATH, help="Order or TrainingRun (YAML) that it must belong to.")
def verify(path: Path, as_json: bool, everything: bool, against: Path | None) -> None:
    """Judge the checkpoint at PATH: hashes, names, shapes and values.

    PATH is a checkpoint's folder, a run's folder (its newest checkpoint), a .safetensors file, or a folder of them with or
    without an index. The exit status is 0 for VALID and VALID WITH WARNINGS, 14 for INVALID.
    """
    from lightgpt.checkpoint.subject import subjects
    from lightgpt.checkpoint.verify import verify as examine

    training = None if against is None else _training(against)
    found = subjects(path, everything=everything)
    reports = []
    for subject in found:
        reports.append(examine(subject, against=training))
        if not as_json:
            click.echo(reports[-1].text())
    if as_json:
        click.echo(_json(reports, as_list=everything))
    raise SystemExit(max(report.exit_code for report in reports))


@checkpoint.command(name="list")
@click.argument("run", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(run: Path, as_json: bool) -> None:
    """List the checkpoints of RUN, newest first, without reading their tensors."""
    from lightgpt.checkpoint.listing import listed

    rows = listed(_folder(run))
    if as_json:
        click.echo(json.dumps([row.document() for row in rows], indent=1))
        return
    for row in rows:
        click.echo(row.text())
    if not rows:
        click.echo("no checkpoints")


@checkpoint.command()
@click.argument("run", type=_PATH)
@click.argument("step", type=click.IntRange(min=0))
def pin(run: Path, step: int) -> None:
    """Keep the checkpoint of RUN at STEP until it is unpinned, whatever retention says."""
    from lightgpt.checkpoint.listing import pin as pin_it

    folder = _folder(run)
    if not (folder / checkpoint_name(step)).is_dir():
        raise _no_such_checkpoint(folder, step)
    pin_it(folder, step)
    click.echo(f"{checkpoint_name(step)} is pinned")


@checkpoint.command()
@click.argument("run", type=_PATH)
@click.argument("step", type=click.IntRange(min=0))
def unpin(run: Path, step: int) -> None:
    """Leave the checkpoint of RUN at STEP to retention again."""
    from lightgpt.checkpoint.listing import unpin as unpin_it

    unpin_it(_folder(run), step)
    click.echo(f"{checkpoint_name(step)} is not pinned")


@checkpoint.command()
@click.argument("run", type=_PATH)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option(
    "--keep-latest",
    type=click.IntRange(min=1, max=1000),
    help="Newest verified checkpoints to keep.  [default: as the order beside them says, else 3]",
)
@click.option(
    "--keep-best/--no-keep-best",
    default=None,
    help="Whether to keep the one with the lowest validation loss.  [default: as the order says, else yes]",
)
@click.option("--pins", default="", help="Steps to keep beside those that are pinned, as 100,200.")
@click.option(
    "--pattern",
    help="Names below RUN, such as 'checkpoint-*', of a trainer that writes no manifests: they are kept by the last number in them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def prune(
    run: Path,
    *,
    dry_run: bool,
    keep_latest: int | None,
    keep_best: bool | None,
    pins: str,
    pattern: str | None,
    as_json: bool,
) -> None:
    """Delete what retention gives up of the checkpoints of RUN, which nothing trains now.

    Every hash is compared first. Never deleted: the newest verified one, the best, a pinned one, or anything newer than the newest
    verified one. A folder that a training holds is refused: its trainer prunes by itself. With --pattern nothing is read or
    verified, there is no best, and names without a number are left alone.
    """
    if pattern is not None:
        from lightgpt.checkpoint.named import prune_named

        kept = _settings(run / run_folder.CHECKPOINTS, keep_latest, keep_best).keep_latest
        by_name = prune_named(
            _run(run), pattern, keep_latest=kept, pins=_pins(pins), dry_run=dry_run
        )
        click.echo(_one_json(by_name) if as_json else by_name.text())
        return
    from lightgpt.checkpoint.pruning import prune as prune_it

    folder = _folder(run)
    settings = _settings(folder, keep_latest, keep_best)
    pruning = prune_it(folder, settings, pins=_pins(pins), dry_run=dry_run)
    click.echo(_one_json(pruning) if as_json else pruning.text())


@checkpoint.command()
@click.argument("source", metavar="RUN", type=_PATH)
@click.argument("destination", type=_PATH)
@click.option("--step", type=click.IntRange(min=0), help="Which checkpoint.  [default: the newest]")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def copy(source: Path, destination: Path, step: int | None, as_json: bool) -> None:
    """Copy a checkpoint of RUN (or the one whose folder RUN is) into the folder DESTINATION.

    It is verified before, hashed on the way and read back; it appears under its own name when all of it is there. Nothing is overwritten.
    """
    from lightgpt.checkpoint.copying import copy_checkpoint

    copied = copy_checkpoint(_one_checkpoint(source, step), destination)
    click.echo(_one_json(copied) if as_json else copied.text())


def _one_checkpoint(run: Path, step: int | None) -> Path:
    from lightgpt.checkpoint.places import committed_steps

    if (run / MANIFEST).exists():
        return run
    folder = _folder(run)
    steps = committed_steps(folder)
    if not steps or (step is not None and step not in steps):
        raise _no_such_checkpoint(folder, step)
    return folder / checkpoint_name(steps[0] if step is None else step)


def _settings(folder: Path, keep_latest: int | None, keep_best: bool | None) -> Checkpoints:
    order = folder.parent / run_folder.ORDER
    known = read_order(order).checkpoints if order.is_file() else Checkpoints()
    given = {"keep_latest": keep_latest, "keep_best": keep_best}
    return known.model_copy(
        update={key: value for key, value in given.items() if value is not None}
    )


def _pins(text: str) -> frozenset[int]:
    pins = parse_pins(text.encode())
    if pins.unreadable:
        raise ConfigurationFault(
            Fault(where="--pins", found=pins.unreadable, expected="steps separated by commas")
        )
    return pins.steps


def _one_json(report: ReportModel) -> str:
    return json.dumps(report.document(), indent=1, ensure_ascii=False)


def _json(reports: list[VerificationReport], *, as_list: bool) -> str:
    documents = [report.document() for report in reports]
    return json.dumps(documents if as_list else documents[0], indent=1, ensure_ascii=False)


def _training(path: Path) -> Training:
    document = read_document(path)
    if document.get("kind") != "TrainingRun":
        return parse_model(Order, document).training
    spec = document.get("spec")
    training = spec.get("training") if isinstance(spec, dict) else None
    return parse_model(Training, training, where="spec.training")


def _folder(run: Path) -> Path:
    below = run / run_folder.CHECKPOINTS
    return below if below.is_dir() else _run(run)


def _run(run: Path) -> Path:
    if not run.is_dir():
        raise CheckpointFault(
            Fault(where=str(run), found="no such folder", expected="the folder of a run")
        )
    return run


def _no_such_checkpoint(folder: Path, step: int | None) -> CheckpointFault:
    from lightgpt.checkpoint.places import committed_steps

    steps = ", ".join(map(str, committed_steps(folder)[:10])) or "none"
    found = "no checkpoint" if step is None else f"no checkpoint at step {step}"
    return CheckpointFault(Fault(where=str(folder), found=found, expected=f"one of: {steps}"))


assert ExitCode.DONE < ExitCode.BROKEN_CHECKPOINT  # the worst verdict is the highest exit status
