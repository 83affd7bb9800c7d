"""`lightcompute tensorboard`: a run's curves in a browser of this machine, for nobody else on the network."""

from __future__ import annotations

import socket

import click

from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.other_cluster import OtherCluster, other_cluster_options
from lightcompute.cli.target import Target

HOST = "127.0.0.1"


@click.command()
@name_argument
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=6006,
    show_default=True,
    help="Port; another free one is taken where it is in use.",
)
@other_cluster_options
@target_options
def tensorboard(name: str, port: int, other: OtherCluster, target: Target) -> int:
    """Serve the curves of the run NAME on this machine until Ctrl-C."""
    return target.run(name).tensorboard(port, other)


def free_port(wanted: int) -> int:
    """`wanted` where it is free, else another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def told_address(port: int) -> str:
    """What a person is told once the curves can be looked at."""
    return f"TensorBoard: http://{HOST}:{port}/\nCtrl-C ends it."
