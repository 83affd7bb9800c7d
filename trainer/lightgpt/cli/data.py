"""`lightgpt data`: text to token shards, with statistics. Needs no PyTorch, so it starts at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from lightgpt.data.cache_folder import default_cache_folder
from lightgpt.data.prepared import PreparedData, prepare
from lightgpt.data.text_statistics import statistics_of
from lightgpt.order_file import read_training_file
from runcontract.order import Order


@click.group()
def data() -> None:
    """Turn text into tokens, and look at the outcome."""


@data.command("prepare")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change a key of FILE."
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder that data.files is relative to. FILE's own when not given.",
)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for what is prepared.")
@click.option("--verify", is_flag=True, help="Hash cached shards anew, whatever their size.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics as JSON.")
def prepare_command(
    file: Path,
    assignments: tuple[str, ...],
    data_root: Path | None,
    cache: Path | None,
    verify: bool,
    as_json: bool,
) -> None:
    """Prepare the data of FILE (an order or a TrainingRun) as training would, and print statistics.

    What was prepared before is taken from the cache.
    """
    order = read_training_file(file, assignments, os.environ)
    prepared = prepare_for(order, file, data_root=data_root, cache=cache, verify=verify)
    print_statistics(prepared, as_json=as_json)


def prepare_for(
    order: Order, file: Path, *, data_root: Path | None, cache: Path | None, verify: bool = False
) -> PreparedData:
    """The data of `order`, with the folders that a command was given or their defaults."""
    return prepare(
        order.training,
        base_folder=data_root or file.parent,
        cache_folder=cache or default_cache_folder(os.environ),
        verify=verify,
    )


def print_statistics(prepared: PreparedData, *, as_json: bool) -> None:
    """Prints what was prepared, to standard output."""
    statistics = statistics_of(prepared)
    click.echo(json.dumps(statistics.document(), indent=2) if as_json else statistics.text())
