"""`lightgpt documents`: the curves, rows and results of a run, brought from its bucket for whoever looks at them. No checkpoint comes along."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lightgpt.checkpoint.faults import storage_fault
from runcontract.document import parse_document, parse_model
from runcontract.environment import S3_CREDENTIALS
from runcontract.order import Bucket


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--s3",
    required=True,
    help="The run's part of the bucket, as JSON, in the form of an order's storage.s3.",
)
def documents(folder: Path, s3: str) -> None:
    """Bring what a run has in its bucket beside its checkpoints into FOLDER.

    What is there already is left as it is. The key is what LIGHTCOMPUTE_S3_CREDENTIALS leads to.
    """
    from lightgpt.vault.documents import Documents
    from lightgpt.vault.objects import opened_bucket

    bucket = parse_model(Bucket, parse_document(s3, where="--s3"), where="--s3")
    objects = opened_bucket(bucket, os.environ.get(S3_CREDENTIALS))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Documents(objects, folder).bring()
    except OSError as error:
        raise storage_fault(folder, error) from error
    click.echo(f"The documents below {objects.where} are in {folder}.")
