"""`lightcompute clusters`: the places that runs may go to, with what is free there. This machine is one cluster with one pool."""

from __future__ import annotations

import click

from lightcompute.cli import text
from lightcompute.cli.options import target_options
from lightcompute.cli.target import PoolRow, Target

_HEADER = ("CLUSTER", "REGION", "POOL", "TYPE", "GPUS", "FREE", "RESERVED", "RUNS", "PRICE", "STATE")  # fmt: skip


@click.command()
@target_options
def clusters(target: Target) -> None:
    """List the places that runs may go to."""
    rows = target.pools()
    if not rows:
        click.echo("No TrainingCluster: runs go where the operator's own options say.")
        return
    click.echo(text.columns(_HEADER, (_row(each) for each in rows)))


def _row(pool: PoolRow) -> tuple[str, ...]:
    counts = (pool.gpus, pool.free, pool.reserved)
    return (
        pool.place.cluster,
        pool.place.region,
        pool.place.pool,
        pool.place.gpu_type,
        *("" if count is None else str(count) for count in counts),
        str(pool.runs),
        "" if pool.price_per_gpu_hour is None else text.usd(pool.price_per_gpu_hour),
        pool.state,
    )
