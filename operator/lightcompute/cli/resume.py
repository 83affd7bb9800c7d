"""`lightcompute resume`: goes on with a run that holds, from its last checkpoint; in the foreground on this machine."""

from __future__ import annotations

import click

from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.target import Target


@click.command()
@name_argument
@target_options
def resume(name: str, target: Target) -> int:
    """Go on with the run NAME as it was last written, from its last checkpoint.

    On this machine it runs in the foreground, as with `run`; in a cluster the operator takes it up.
    """
    return target.run(name).resume()
