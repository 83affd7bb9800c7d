"""`lightgpt tokenizer`: a tokenizer from the training part of a text, with statistics. Needs no PyTorch."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lightgpt.cli.data import prepare_for, print_statistics
from lightgpt.data.cache_folder import storage_faults, write_whole
from lightgpt.order_file import read_training_file
from runcontract.faults import ConfigurationFault, Fault


@click.group()
def tokenizer() -> None:
    """Train tokenizers."""


@tokenizer.command("train")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that takes the tokenizer's file; tokenizer.path can name it afterwards.",
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change a key of FILE."
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder that data.files is relative to. FILE's own when not given.",
)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for what is prepared.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics as JSON.")
def train_command(
    file: Path,
    out: Path,
    assignments: tuple[str, ...],
    data_root: Path | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Train the tokenizer of FILE (an order or a TrainingRun) on its training part, and print statistics.

    The validation and test parts are encoded too, so the statistics show how it does on text that it has not seen.
    """
    order = read_training_file(file, assignments, os.environ)
    if order.training.tokenizer.path is not None:
        raise ConfigurationFault(
            Fault(
                where="training.tokenizer.path",
                found=repr(order.training.tokenizer.path),
                expected="nothing: the tokenizer is to be trained",
                action="Leave it out, here with --set training.tokenizer.path=null.",
            )
        )
    prepared = prepare_for(order, file, data_root=data_root, cache=cache)
    source = prepared.folder / prepared.index.tokenizer_file
    with storage_faults(out):
        write_whole(out / source.name, source.read_bytes())
    print_statistics(prepared, as_json=as_json)
    click.echo(f"\nWritten: {out / source.name}", err=as_json)
