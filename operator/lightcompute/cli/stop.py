"""`lightcompute stop` and `suspend`: a run saves and leaves, to be gone on with later, or for good."""

from __future__ import annotations

import click

from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.target import Target
from runcontract.exit_codes import ExitCode


@click.command()
@name_argument
@click.option(
    "--for-good", is_flag=True, help="End the run: it cannot be gone on with. [default: hold it]"
)
@target_options
def stop(name: str, for_good: bool, target: Target) -> int:
    """Ask the run NAME to save and leave; `lightcompute resume` goes on with it later."""
    return _halt(name, target, for_good=for_good)


@click.command()
@name_argument
@target_options
def suspend(name: str, target: Target) -> int:
    """Hold the run NAME: the same as `stop`. `lightcompute resume` goes on with it."""
    return _halt(name, target, for_good=False)


def _halt(name: str, target: Target, *, for_good: bool) -> int:
    halt = target.run(name).stop(for_good=for_good)
    status = halt.run.status
    click.echo(f"{name}: {status.phase}. {status.message}".rstrip())
    if halt.why_not:
        click.echo(halt.why_not, err=True)
    return int(ExitCode.DONE if halt.rests else ExitCode.INTERNAL_ERROR)
