"""`lightgpt train`: the command that a supervisor starts, and a person may."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from lightgpt.cli.attempts import as_attempt
from lightgpt.order_file import read_training_file
from lightgpt.train.stopping import StopSignals
from runcontract.environment import AttemptEnvironment


@click.command()
@click.argument("order", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for all that the run writes.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the order, such as training.seed=7. May be given several times.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder that relative paths of data are read from.  [default: the folder of ORDER]",
)
def train(order: Path, out: Path, assignments: tuple[str, ...], data_root: Path | None) -> int:
    """Train as the YAML file ORDER says, or go on where its last attempt in the same folder stopped.

    ORDER is a TrainingRun or an order. Progress goes to standard output as JSON lines and to standard error for people. SIGTERM
    and Ctrl-C save and leave with exit code 13; the same command then goes on.
    """
    return as_attempt(
        lambda environment, signals: _trained(
            order, out, assignments, data_root, environment, signals
        )
    )


def _trained(
    order_path: Path,
    out: Path,
    assignments: tuple[str, ...],
    data_root: Path | None,
    environment: AttemptEnvironment,
    signals: StopSignals,
) -> int:
    started_time = datetime.now(UTC)
    order = read_training_file(order_path, assignments, os.environ)
    # Only now: a fault in the order is told before torch has been imported, which takes seconds.
    from lightgpt.train.material import Terms
    from lightgpt.train.run import train as carry_out

    results = carry_out(
        Terms(
            order=order,
            order_path=order_path,
            folder=out,
            data_root=data_root or order_path.parent,
            environment=environment,
            variables=os.environ,
            started_time=started_time,
        ),
        signals,
    )
    return 0 if results is None else results.exit_code
