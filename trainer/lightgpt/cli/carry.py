"""`lightgpt carry`: stands between a pod and a program that knows nothing of buckets. Parsing only; the work is `lightgpt.carry`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lightgpt.cli.attempts import as_attempt
from lightgpt.train.stopping import StopSignals
from runcontract.document import parse_document, parse_model
from runcontract.environment import ORDER, OUTPUT_FOLDER, RUN_UID, AttemptEnvironment
from runcontract.faults import ConfigurationFault, Fault
from runcontract.order import Bucket, Checkpoints


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder of the run.  [default: LIGHTCOMPUTE_OUTPUT]",
)
@click.option(
    "--s3",
    help="The bucket, as JSON, in the form of an order's storage.s3.  [default: as the order says]",
)
@click.option(
    "--keep-latest",
    type=click.IntRange(1, 1000),
    help="Newest checkpoints that stay.  [default: as the order says, else 3]",
)
@click.option(
    "--keep-best/--no-keep-best",
    default=None,
    help="Whether the best stays.  [default: as the order says, else yes]",
)
@click.option(
    "--node-rank",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Rank of this pod; that of rank 0 writes into the bucket.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def carry(
    out: Path | None,
    s3: str | None,
    keep_latest: int | None,
    keep_best: bool | None,
    node_rank: int,
    command: tuple[str, ...],
) -> int:
    """Run COMMAND, a trainer that follows the documented folder and manifest, with its checkpoints kept in a bucket.

    The newest whole checkpoint of the bucket is brought before it starts, and each that it saves is in the bucket before it is told. The
    order is that of LIGHTCOMPUTE_ORDER, the attempt that of LIGHTCOMPUTE_ATTEMPT. The exit code is COMMAND's own, but 16 where its last
    checkpoint is not in the bucket.
    """

    def work(environment: AttemptEnvironment, signals: StopSignals) -> int:
        from lightgpt.carry.carrying import carry as carry_out
        from lightgpt.carry.terms import Terms, bucket_of_order

        variables = os.environ
        settings, run_uid = Checkpoints(), ""
        if s3 is None:
            path = variables.get(ORDER)
            bucket, settings, run_uid = bucket_of_order(Path(path) if path else None)
        else:
            bucket = parse_model(Bucket, parse_document(s3, where="--s3"), where="--s3")
        given = {"keep_latest": keep_latest, "keep_best": keep_best}
        terms = Terms(
            command=command,
            folder=out or _folder(variables.get(OUTPUT_FOLDER)),
            bucket=bucket,
            run_uid=variables.get(RUN_UID) or run_uid,
            environment=environment,
            variables=variables,
            settings=settings.model_copy(
                update={key: value for key, value in given.items() if value is not None}
            ),
            node_rank=node_rank,
        )
        return carry_out(terms, signals)

    return as_attempt(work)


def _folder(given: str | None) -> Path:
    if not given:
        where = f"environment variable {OUTPUT_FOLDER}"
        raise ConfigurationFault(Fault(where=where, found="nothing", expected="a folder, or --out"))
    return Path(given)
