"""`lightcompute checkpoint`: what a run has saved, and what people do about it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.other_cluster import OtherCluster, other_cluster_options
from lightcompute.cli.target import Target

DEFAULT_TIMEOUT_SECONDS = 300.0

_STEP = click.IntRange(min=0)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")


@click.group()
def checkpoint() -> None:
    """List, verify, pin, save, prune and copy the checkpoints of a run."""


@checkpoint.command(name="list", short_help="List checkpoints, and why each is kept.")
@name_argument
@click.option("--output", "-o", "form", type=click.Choice(["json"]), help="Print JSON.")
@click.option("--json", "form", flag_value="json", help="The same as -o json.")
@target_options
def list_(name: str, form: str | None, target: Target) -> None:
    """List the checkpoints of the run NAME, oldest first, and why each is kept.

    WHOLE is what was seen of a checkpoint when it was saved or last looked at; `verify` compares every hash now.
    """
    rows = target.run(name).checkpoints().rows()
    if form == "json":
        click.echo(json.dumps([row.document() for row in rows], ensure_ascii=False, indent=1))
    elif rows:
        from lightcompute.cli.run_checkpoints import table

        click.echo(table(rows))
    else:
        click.echo(f"{name} has no checkpoint yet.")


@checkpoint.command(short_help="Judge checkpoints: hashes, names, shapes, values.")
@name_argument
@click.option("--step", type=_STEP, help="Which checkpoint. [default: the newest]")
@click.option("--all", "everything", is_flag=True, help="Every checkpoint of the run.")
@_json_option
@target_options
def verify(name: str, step: int | None, everything: bool, as_json: bool, target: Target) -> int:
    """Judge checkpoints of the run NAME: hashes, names, shapes and values.

    The exit status is 0 for VALID and VALID WITH WARNINGS, 14 for INVALID.
    """
    if everything and step is not None:
        raise click.UsageError("--step is one checkpoint, --all is every one: give one of the two.")
    checkpoints = target.run(name).checkpoints()
    return checkpoints.verify(step=step, everything=everything, as_json=as_json)


@checkpoint.command(short_help="Keep a checkpoint, whatever retention says.")
@name_argument
@click.argument("step", type=_STEP)
@target_options
def pin(name: str, step: int, target: Target) -> None:
    """Keep the checkpoint of the run NAME at STEP until it is unpinned, whatever retention says."""
    click.echo(target.run(name).checkpoints().pin(step))


@checkpoint.command(short_help="Leave a checkpoint to retention again.")
@name_argument
@click.argument("step", type=_STEP)
@target_options
def unpin(name: str, step: int, target: Target) -> None:
    """Leave the checkpoint of the run NAME at STEP to retention again."""
    click.echo(target.run(name).checkpoints().unpin(step))


@checkpoint.command(short_help="Have a checkpoint saved at the next step.")
@name_argument
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=0),
    default=DEFAULT_TIMEOUT_SECONDS,
    show_default=True,
    help="Seconds to wait for it on this machine.",
)
@target_options
def now(name: str, timeout_seconds: float, target: Target) -> int:
    """Have the run NAME save a checkpoint at its next step, and say which step that is.

    In a cluster it is asked for and not waited for.
    """
    return target.run(name).checkpoints().save_now(timeout_seconds)


@checkpoint.command(short_help="Delete what retention gives up.")
@name_argument
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@_json_option
@target_options
def prune(name: str, dry_run: bool, as_json: bool, target: Target) -> int:
    """Delete what spec.checkpoints gives up of the run NAME, which does not train now.

    Every hash is compared first. Never deleted: the newest whole checkpoint, the best, a pinned one, or anything newer than the
    newest whole one. While the run trains its trainer prunes by itself.
    """
    return target.run(name).checkpoints().prune(dry_run=dry_run, as_json=as_json)


@checkpoint.command(short_help="Copy a checkpoint into a folder.")
@name_argument
@click.argument("destination", type=click.Path(path_type=Path, file_okay=False))
@click.option("--step", type=_STEP, help="Which checkpoint. [default: the newest]")
@other_cluster_options
@_json_option
@target_options
def copy(
    name: str,
    destination: Path,
    step: int | None,
    other: OtherCluster,
    as_json: bool,
    target: Target,
) -> int:
    """Copy a checkpoint of the run NAME into the folder DESTINATION: whole and verified, or not at all.

    Nothing is overwritten. Of a run in a cluster a pod hands it out, which is made beside the run's own: where they are in another
    cluster, --cluster-kubeconfig says how you get there.
    """
    checkpoints = target.run(name).checkpoints()
    return checkpoints.copy(destination, step=step, as_json=as_json, other=other)
