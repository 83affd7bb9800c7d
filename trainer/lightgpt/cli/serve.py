"""`lightgpt serve`: hands out the files of one checkpoint, for as long as somebody fetches them. Parsing, and the end at a signal."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

import click

from runcontract.document import parse_document, parse_model
from runcontract.environment import S3_CREDENTIALS
from runcontract.exit_codes import ExitCode
from runcontract.order import Bucket


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--step", type=click.IntRange(min=0), required=True, help="Which checkpoint.")
@click.option("--port", type=click.IntRange(0, 65_535), default=6007, show_default=True)
@click.option(
    "--ready", type=click.Path(path_type=Path), help="A file that is made once they can be had."
)
@click.option(
    "--s3", help="The bucket that holds it, as JSON, in the form of an order's storage.s3."
)
def serve(run: Path, step: int, port: int, ready: Path | None, s3: str | None) -> None:
    """Serve the files of the checkpoint of RUN at STEP on this machine's loopback address.

    RUN is the run's output folder; with --s3 the checkpoint is brought there first.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    from lightgpt.serving import checkpoint_at_hand, serving

    objects = None
    if s3 is not None:
        from lightgpt.vault.objects import opened_bucket

        bucket = parse_model(Bucket, parse_document(s3, where="--s3"), where="--s3")
        objects = opened_bucket(bucket, os.environ.get(S3_CREDENTIALS))
    checkpoint = checkpoint_at_hand(run, step, objects)
    with serving(checkpoint, port) as server:
        click.echo(f"{checkpoint} at port {server.server_address[1]}")
        if ready is not None:
            ready.touch()
        server.serve_forever()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Nothing is written, so nothing has to be put in order."""
    os._exit(ExitCode.DONE)
