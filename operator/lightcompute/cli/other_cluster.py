"""`--cluster-kubeconfig` and `--cluster-context`: the way to a cluster where the pods of a run are and the run is not.

Read by every start of the program, so nothing that talks to a cluster is imported here; going there is `cluster_reach`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--cluster-kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File that leads to the cluster where the run's pods are, if that is another. [default: that of --kubeconfig]",
    ),
    click.option("--cluster-context", metavar="CONTEXT", help="Context in that file. [default: its current one]"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OtherCluster:
    """What a person said of the way to it; nothing given means that they did not say."""

    kubeconfig: Path | None = None
    context: str | None = None

    def __bool__(self) -> bool:
        """Whether there is a way."""
        return self.kubeconfig is not None or self.context is not None


def other_cluster_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--cluster-kubeconfig` and `--cluster-context`; the command gets `other` instead of them."""

    @wraps(function)
    def with_other(
        *, cluster_kubeconfig: Path | None, cluster_context: str | None, **rest: Any
    ) -> Any:
        other = OtherCluster(kubeconfig=cluster_kubeconfig, context=cluster_context)
        return function(other=other, **rest)

    wrapped: Callable[..., Any] = with_other
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
