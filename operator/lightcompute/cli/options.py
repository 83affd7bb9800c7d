"""What several commands take: the name of a run, and where runs are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])

_IMPLYING = ("everywhere", "other")
"""Options of some commands that mean a cluster as well."""
_PLACE_OPTIONS = (
    click.option("--cluster", is_flag=True, help="In the cluster of the kubeconfig, not on this machine."),
    click.option("--namespace", "-n", metavar="NAMESPACE", help="Namespace in the cluster. [default: the context's]"),
    click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File that says where the cluster is. [default: KUBECONFIG, else ~/.kube/config]",
    ),
    click.option("--context", metavar="CONTEXT", help="Context in that file. [default: its current one]"),
)  # fmt: skip


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


def assignments_option(function: _Function) -> _Function:
    """`--set`, any number of times."""
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one key of the file, such as training.maxSteps=100.",
    )(function)


def price_option(function: _Function) -> _Function:
    """`--price-per-hour-usd`."""
    return click.option(
        "--price-per-hour-usd",
        "price",
        help="What this machine costs for an hour, such as 1.29: a budget holds by it. [default: LIGHTCOMPUTE_PRICE_PER_HOUR_USD, else nothing]",
    )(function)


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say where runs are; the command gets a `target` instead of them.

    Any option of a cluster means the cluster, and so do `everywhere` (all namespaces) and `other` (another cluster) where a command
    has them.
    """
    return _options(runs_dir_option(_with_target(function)))


def cluster_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a command that only a cluster has."""
    return _options(_with_target(function, always_cluster=True))


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_PLACE_OPTIONS):
        function = option(function)
    return function


def _with_target(
    function: Callable[..., Any], *, always_cluster: bool = False
) -> Callable[..., Any]:
    @functools.wraps(function)
    def with_target(
        *,
        cluster: bool,
        namespace: str | None,
        kubeconfig: Path | None,
        context: str | None,
        runs_dir: Path | None = None,
        **rest: Any,
    ) -> Any:
        from lightcompute.cli.target import Whereabouts, chosen

        where = Whereabouts(
            cluster=cluster or always_cluster or any(map(rest.get, _IMPLYING)),
            namespace=namespace,
            kubeconfig=kubeconfig,
            context=context,
            runs_dir=runs_dir,
        )
        with chosen(where) as target:
            return function(target=target, **rest)

    return with_target
