"""`lightgpt smoke`: whether training works on this machine, in seconds, with nothing to download."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lightgpt.smoke import SmokeVerdict


@click.command()
@click.option(
    "--seeds", default=5, show_default=True, type=click.IntRange(1, 100), help="How many seeds."
)
@click.option("--first-seed", default=1337, show_default=True, type=click.IntRange(0, 2**31 - 101))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def smoke(seeds: int, first_seed: int, as_json: bool) -> int:
    """Have a tiny model learn one batch by heart in 20 steps, with several seeds; exit status 1 when it does not."""
    from lightgpt.smoke import smoke as run
    from lightgpt.train.world import use_threads

    use_threads(os.environ, local_size=1)
    verdict = run(range(first_seed, first_seed + seeds))
    click.echo(_as_json(verdict) if as_json else _as_text(verdict))
    return 0 if verdict.passed else 1


def _as_text(verdict: SmokeVerdict) -> str:
    from lightgpt.smoke import LEAST_MEAN_REDUCTION, LEAST_REDUCTION, STEPS

    lines = [
        f"{verdict.parameters:,} parameters, {STEPS} steps on one batch; losses in nats per token",
        "  seed    first     last    fallen by",
    ]
    lines += [
        f"{run.seed:>6}  {run.first_loss:>7.4f}  {run.last_loss:>7.4f}  {run.reduction:>9.1%}  {'' if run.passed else 'too little'}".rstrip()
        for run in verdict.runs
    ]
    word = "passed" if verdict.passed else "FAILED"
    lines.append(
        f"{word}: mean {verdict.mean_reduction:.1%} (at least {LEAST_MEAN_REDUCTION:.1%}), "
        f"each at least {LEAST_REDUCTION:.0%}"
    )
    return "\n".join(lines)


def _as_json(verdict: SmokeVerdict) -> str:
    from lightgpt.smoke import LEAST_MEAN_REDUCTION, LEAST_REDUCTION, STEPS

    return json.dumps(
        {
            "passed": verdict.passed,
            "parameters": verdict.parameters,
            "steps": STEPS,
            "meanReduction": verdict.mean_reduction,
            "leastMeanReduction": LEAST_MEAN_REDUCTION,
            "leastReduction": LEAST_REDUCTION,
            "runs": [
                {
                    "seed": run.seed,
                    "firstLossNatsPerToken": run.first_loss,
                    "lastLossNatsPerToken": run.last_loss,
                    "reduction": run.reduction,
                    "seconds": round(run.seconds, 3),
                }
                for run in verdict.runs
            ],
        }
    )
