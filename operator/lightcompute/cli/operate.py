"""`lightcompute operator`: looks after the TrainingRuns of a cluster until it is asked to end."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lightcompute.cli.operator_options import VARIABLES, settings_from, settings_options
from runcontract.faults import ContractFault

if TYPE_CHECKING:
    from lightcompute.kube.settings import OperatorSettings

logger = logging.getLogger(__name__)


@click.command()
@settings_options
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    envvar=f"{VARIABLES}KUBECONFIG",
    show_envvar=True,
    help="File that says where the cluster is. [default: KUBECONFIG, else the account of the pod]",
)
@click.option(
    "--context",
    envvar=f"{VARIABLES}CONTEXT",
    show_envvar=True,
    help="Context of that file. [default: its current one]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    envvar=f"{VARIABLES}LOG_FORMAT",
    show_envvar=True,
    help="Form of the log. [default: text on a terminal, else json]",
)
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="INFO",
    envvar=f"{VARIABLES}LOG_LEVEL",
    show_envvar=True,
    show_default=True,
    help="What is logged.",
)
def operator(
    kubeconfig: Path | None,
    context: str | None,
    log_format: str | None,
    log_level: str,
    **given: Any,
) -> int:
    """Look after the TrainingRuns of a cluster.

    Several may run at once: one acts, the others wait for its Lease. Ends with 0 when asked to (SIGTERM, Ctrl-C), 10 when
    something must be mended first, 20 when the API server does not answer at the start, 21 when another one took over, and 1
    when it must be started again.
    """
    settings = settings_from(given)
    from lightcompute.kube.log_lines import LogFormat, configure, default_format
    from lightcompute.kube.startup import Exit, Unreachable

    # As the first process of a container it would not hear of SIGTERM until the loop listens to it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    configure(LogFormat(log_format) if log_format else default_format(), log_level.upper())
    try:
        return asyncio.run(_operate(settings, kubeconfig, context))
    except ContractFault as error:
        for fault in error.faults:
            logger.error("%s", fault)  # noqa: TRY400 - a sentence for a person, no traceback
        return Exit.MISCONFIGURED
    except Unreachable as error:
        logger.error("%s", error)  # noqa: TRY400 - the same
        return Exit.UNREACHABLE


async def _operate(settings: OperatorSettings, kubeconfig: Path | None, context: str | None) -> int:
    from lightcompute.kube.client import ClusterClient
    from lightcompute.kube.handlers import KopfWatch
    from lightcompute.kube.metrics import Metrics
    from lightcompute.kube.process import Operator
    from lightcompute.kube.startup import check

    metrics = Metrics()
    client = await ClusterClient.connect(
        kubeconfig,
        context,
        requests_per_second=settings.requests_per_second,
        burst=round(2 * settings.requests_per_second),
        heard=metrics.asked,
    )
    # One of its own: no queue of other requests may delay a renewal of the Lease.
    lease_client = await ClusterClient.connect(kubeconfig, context, heard=metrics.asked)
    watch = partial(
        KopfWatch, kubeconfig=kubeconfig, context=context, namespaces=settings.namespaces
    )
    try:
        await check(client, settings)
        return await Operator(settings, client, lease_client, metrics, watch).run()
    finally:
        await client.close()
        await lease_client.close()
