"""`lightgpt tensorboard`: serves a folder of curves in the foreground, and leaves at once when it is asked to, even as process 1.

Made for a container beside the trainer's: the kernel keeps signals that have no handler from a container's first process, so
the handler stands before anything slow is imported. TensorBoard itself is used as it is.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

import click

from runcontract.exit_codes import ExitCode
from runcontract.faults import ConfigurationFault, Fault

RELOAD_SECONDS = 5


@click.command()
@click.option(
    "--logdir",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the events; it may come to be later.",
)
@click.option("--port", type=click.IntRange(0, 65_535), default=6006, show_default=True)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all."
)
def tensorboard(logdir: Path, port: int, host: str) -> int:
    """Serve the curves in a folder to browsers."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        from tensorboard import default, program
    except ModuleNotFoundError as error:
        raise ConfigurationFault(
            Fault(
                where="tensorboard",
                found=str(error),
                expected="the package tensorboard",
                action="Install it: pip install 'lightcompute[trainer]'.",
            )
        ) from error
    server = program.TensorBoard(plugins=default.get_plugins())
    server.configure(
        (
            "tensorboard", "--logdir", str(logdir), "--host", host, "--port", str(port),
            # The loader in Rust is a process of its own, which nobody would end with us.
            "--load_fast", "false", "--reload_interval", str(RELOAD_SECONDS),
        )
    )  # fmt: skip
    try:
        address = server.launch()
    except program.TensorBoardServerException as error:
        raise ConfigurationFault(
            Fault(where="--port", found=error.msg, expected="an address that is free")
        ) from error
    click.echo(f"TensorBoard: {address}")
    while True:
        signal.pause()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Nothing is written, so nothing has to be put in order."""
    os._exit(ExitCode.DONE)
