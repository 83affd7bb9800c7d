"""`lightcompute logs`: what a trainer wrote for people, and its reports when they are asked for."""

from __future__ import annotations

import click

from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.other_cluster import OtherCluster, other_cluster_options
from lightcompute.cli.target import LogsWanted, Target
from runcontract.progress import parse_report


@click.command()
@name_argument
@click.option("--follow", "-f", is_flag=True, help="Go on printing until the attempt ends.")
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt. [default: the newest]")
@click.option("--reports", is_flag=True, help="Print the progress reports (JSON lines) too.")
@click.option(
    "--rank",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Which pod, where an attempt has several.",
)
@other_cluster_options
@target_options
def logs(
    *,
    name: str,
    follow: bool,
    attempt: int | None,
    reports: bool,
    rank: int,
    other: OtherCluster,
    target: Target,
) -> None:
    """Print what the trainer of the run NAME wrote."""

    def write(line: str) -> None:
        if reports or parse_report(line) is None:
            click.echo(line)

    target.run(name).logs(LogsWanted(attempt=attempt, rank=rank, follow=follow, other=other), write)
