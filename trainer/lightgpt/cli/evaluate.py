"""`lightgpt evaluate`: the loss of a trained model on a part of its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--part",
    type=click.Choice(["training", "validation", "test"]),
    default="validation",
    show_default=True,
)
@click.option("--batch-size", type=click.IntRange(1, 65_536), help="Sequences scored at once.")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder that relative paths of data are read from.  [default: the one that the training had]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def evaluate(
    path: Path,
    part: Literal["training", "validation", "test"],
    batch_size: int | None,
    data_root: Path | None,
    as_json: bool,
) -> int:
    """Score one part of the text with the model in PATH: a run's folder (its newest checkpoint) or one checkpoint.

    Every token of the part but its first is scored once, in the precision that the run trained in.
    """
    from lightgpt.evaluation_of_run import evaluate_run

    scored = evaluate_run(path, part=part, batch_size=batch_size, data_root=data_root)
    loss = scored.loss
    if as_json:
        click.echo(json.dumps(scored.document()))
        return 0
    click.echo(
        f"{part} loss of {scored.checkpoint} over {scored.tokens:,} tokens ({scored.characters:,} characters): "
        f"{loss.nats_per_token:.4f} nats/token, {loss.nats_per_character:.4f} nats/char, {loss.bits_per_byte:.4f} bits/byte"
    )
    return 0
