"""`lightcompute status` and `lightcompute list`: how runs are doing, by their documents and what their trainers say."""

from __future__ import annotations

import json

import click

from lightcompute.cli import text
from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.outcome import likelihood_text, result_rows
from lightcompute.cli.target import Listed, Rows, Sight, Target, TargetRun
from lightcompute.core.saves import wrong
from runcontract.document import dump_document


@click.command()
@name_argument
@click.option(
    "--output", "-o", "form", type=click.Choice(["yaml", "json"]), help="Print the status document."
)
@click.option("--yaml", "form", flag_value="yaml", help="The same as -o yaml.")
@click.option("--json", "form", flag_value="json", help="The same as -o json.")
@target_options
def status(name: str, form: str | None, target: Target) -> None:
    """Show how the run NAME is doing."""
    run = target.run(name)
    sight = run.sight()
    document = sight.run.status.document
    match form:
        case "yaml":
            click.echo(dump_document(document()), nl=False)
        case "json":
            click.echo(json.dumps(document(), ensure_ascii=False, indent=1))
        case _:
            click.echo(_told(run, sight))


@click.command(name="list")
@click.option(
    "--all-namespaces",
    "-A",
    "everywhere",
    is_flag=True,
    help="Runs of all namespaces of the cluster.",
)
@target_options
def list_runs(everywhere: bool, target: Target) -> None:
    """List the runs on this machine, or in a namespace."""
    found = target.listed(everywhere=everywhere)
    if not found:
        click.echo(target.none_yet())
        return
    header: tuple[str, ...] = ("NAME", "PHASE", "STEP", "VALIDATION LOSS", "COST", "CREATED")
    rows = [_row(listed) for listed in found]
    if everywhere:
        header = ("NAMESPACE", *header)
        rows = [(listed.namespace, *row) for listed, row in zip(found, rows, strict=True)]
    click.echo(text.columns(header, rows))


def _row(listed: Listed) -> tuple[str, ...]:
    sight = listed.sight
    if sight is None:
        return (listed.name, "unreadable", "", "", "", "")
    view = sight.view()
    created = sight.run.metadata.creation_timestamp
    return (
        listed.name,
        f"{view.phase}*" if sight.unattended else str(view.phase),
        view.step_text() if view.step else "",
        view.validation_text(),
        text.usd(view.spent) if view.has_price else "",
        text.clock(created) if created else "",
    )


def _told(run: TargetRun, sight: Sight) -> str:
    rows = (*_rows(sight), *run.rows(sight))
    note = run.note(sight)
    return f"{sight.run.metadata.name}\n{text.table(rows)}{note and chr(10)}{note}"


def _rows(sight: Sight) -> Rows:
    view, status = sight.view(), sight.run.status
    yield "phase", str(view.phase)
    yield "why", view.message
    yield "step", view.step_text() if view.step or view.max_steps else ""
    results = dict(result_rows(status.results)) if status.results and not sight.is_live else {}
    if results:
        yield from ((name, value) for name, value in results.items() if name != "steps")
    else:
        yield "training loss", view.training_text()
        yield "validation loss", view.validation_text()
        best = view.best_validation
        yield "best validation loss", text.losses(best) if best else ""
        speed = view.tokens_per_second
        yield "speed", f"{text.count(speed)} tokens/s" if speed else ""
    if view.remaining_seconds is not None and sight.is_live:
        yield "time left", text.duration(view.remaining_seconds)
    if sight.is_live:
        yield "target", likelihood_text(sight.cost().target)
    yield "cost", view.cost_text()
    yield "attempts", str(view.attempt) if view.attempt else ""
    verified = [each for each in status.checkpoints if each.verified]
    yield "checkpoints", ", ".join(text.count(each.step) for each in verified)
    trouble = wrong(view.saves, is_live=sight.is_live)
    yield "saves", trouble[1].removeprefix("saves ") if trouble is not None else ""
