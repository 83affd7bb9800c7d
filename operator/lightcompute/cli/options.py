"""What several commands take: the folder of runs and the name of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])


def runs_dir_option(function: _Function) -> _Function:
    """`--runs-dir`."""
    return click.option(
        "--runs-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        help="Folder of the runs. [default: LIGHTCOMPUTE_RUNS_DIR, else ./runs]",
    )(function)


def name_argument(function: _Function) -> _Function:
    """`NAME`."""
    return click.argument("name")(function)
