"""`lightgpt tend`: what an upkeep pod runs. Parsing, and the last word; the work is `lightgpt.upkeep`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from runcontract.document import parse_document, parse_model
from runcontract.environment import S3_CREDENTIALS, read_attempt_environment
from runcontract.exit_codes import ExitCode
from runcontract.faults import ContractFault
from runcontract.order import Bucket, Checkpoints
from runcontract.upkeep import UpkeepReport, UpkeepTask


@click.command()
@click.argument("task", type=click.Choice([each.value for each in UpkeepTask]))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--run-uid", required=True, help="Unique id of the run.")
@click.option("--keep-latest", type=click.IntRange(1, 1000), default=3, show_default=True)
@click.option("--keep-best/--no-keep-best", default=True, show_default=True)
@click.option("--pin", type=click.IntRange(min=0), multiple=True, help="A step that stays.")
@click.option("--pattern", help="Prune by name what it matches, of a trainer without manifests.")
@click.option(
    "--expect",
    type=click.IntRange(min=0),
    multiple=True,
    help="A step that is to be there (Verify).",
)
@click.option(
    "--s3", help="The bucket that holds them, as JSON, in the form of an order's storage.s3."
)
def tend(task: str, folder: Path, run_uid: str, s3: str | None, **settings: Any) -> None:
    """Do TASK to the checkpoints of a run that does not train: Verify, Prune or Delete.

    FOLDER is the run's output folder; with --s3 it is scratch space. What came of it is printed as one JSON document, and left
    in the file that LIGHTCOMPUTE_TERMINATION_LOG names. The attempt is that of LIGHTCOMPUTE_ATTEMPT.
    """
    from lightgpt.upkeep import Subject
    from lightgpt.upkeep import tend as do

    environment = read_attempt_environment(os.environ)
    try:
        objects = None
        if s3 is not None:
            from lightgpt.vault.objects import opened_bucket

            bucket = parse_model(Bucket, parse_document(s3, where="--s3"), where="--s3")
            objects = opened_bucket(bucket, os.environ.get(S3_CREDENTIALS))
        report = do(
            UpkeepTask(task),
            Subject(
                folder=folder,
                run_uid=run_uid,
                attempt=environment.attempt,
                settings=Checkpoints(
                    keep_latest=settings["keep_latest"],
                    keep_best=settings["keep_best"],
                    pattern=settings["pattern"],
                ),
                pins=frozenset(settings["pin"]),
                expected=frozenset(settings["expect"]),
                objects=objects,
            ),
        )
        code = ExitCode.DONE
    except ContractFault as fault:
        report = UpkeepReport(task=UpkeepTask(task), done=False, message=str(fault)[:1024])
        code = fault.exit_code
    click.echo(report.text())
    if environment.termination_log is not None:
        Path(environment.termination_log).write_text(report.text(), encoding="utf-8")
    raise SystemExit(int(code))
