"""`lightcompute reproduce`: a finished run once more, in a folder of its own, and the verdict whether it came out the same.

The exit status is 0 when metrics and weights are bit-identical, 1 when they are not, and that of `run` when the second run did
not come to its end.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from lightcompute.api import Phase, TrainingRun
from lightcompute.api.trainer import Variable
from lightcompute.cli import text
from lightcompute.cli.intake import take_in
from lightcompute.cli.local_budgets import refuse_unreadable
from lightcompute.cli.options import runs_dir_option
from lightcompute.cli.run import carry_out
from lightcompute.cli.summary import exit_code
from lightcompute.local import comparison
from lightcompute.local.backend import read_report
from lightcompute.local.folder import RunFolder, acting, runs_root
from lightcompute.local.store import RunStore, with_spec
from runcontract import folder as names
from runcontract.audit import Audit
from runcontract.faults import ConfigurationFault, Fault

IDENTICAL, DIFFERENT = 0, 1
_SHOWN = 20


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--name", "new_name", help="Name of the second run. [default: RUN-again]")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON at the end.")
@runs_dir_option
def reproduce(name: str, new_name: str | None, as_json: bool, runs_dir: Path | None) -> int:
    """Run RUN again from its order and audit trail, and say whether it came out bit for bit the same."""
    runs = runs_root(runs_dir)
    before = runs.existing(name)
    run = RunStore(before).read()
    _refuse_unfinished(run)
    audit = _audit(before)
    again = runs.folder(new_name or f"{name[:57]}-again")
    _tell("This machine", comparison.differences_beforehand(audit))
    refuse_unreadable(runs)
    with acting(again):
        taken = take_in(again, _repeated(run, audit, again.name))
        command = f"lightcompute reproduce {name} --name {again.name}"
        ended, interrupted_by = carry_out(taken, runs, again, command)
    if ended is None or ended.status.phase is not Phase.SUCCEEDED:
        return exit_code(ended or taken.run, interrupted_by)
    _tell("The second run", comparison.differences_of_audits(audit, _audit(again)))
    return _verdict(before, again, as_json=as_json)


def _audit(folder: RunFolder) -> Audit:
    path = folder.path / names.AUDIT
    audit = read_report(path, Audit)
    if audit is None:
        raise ConfigurationFault(
            Fault(where=str(path), found="nothing that can be read", expected="an audit trail",
                  action="Only a run of our own trainer that has begun leaves one."),
        )  # fmt: skip
    return audit


def _refuse_unfinished(run: TrainingRun) -> None:
    if run.status.phase is not Phase.SUCCEEDED:
        raise ConfigurationFault(
            Fault(
                where=f"run {run.metadata.name}",
                found=str(run.status.phase),
                expected="a run that succeeded: only what came to its end can be compared with what does",
            )
        )


def _repeated(run: TrainingRun, audit: Audit, name: str) -> TrainingRun:
    """The run as a new one, under the variables of the audit."""
    given = {variable.name: variable for variable in run.spec.trainer.env}
    variables = comparison.environment_to_repeat(audit)
    given |= {key: Variable(name=key, value=value) for key, value in variables.items()}
    trainer = run.spec.trainer.model_copy(update={"env": tuple(given.values())})
    metadata = run.metadata.model_copy(update={"name": name})
    return with_spec(run.model_copy(update={"metadata": metadata}), trainer=trainer, suspend=False)


def _verdict(before: RunFolder, again: RunFolder, *, as_json: bool) -> int:
    metrics = comparison.first_metrics_difference(before.path, again.path)
    old, new = comparison.final_weights(before.path), comparison.final_weights(again.path)
    same_weights = old is not None and old == new
    same = metrics is None and same_weights
    if as_json:
        document = {
            "identical": same,
            "metricsIdentical": metrics is None,
            "weightsIdentical": same_weights,
            "firstDifference": str(metrics) if metrics else None,
        }
        click.echo(json.dumps(document))
        return IDENTICAL if same else DIFFERENT
    rows = comparison.row_count(before.path)
    click.echo(
        f"Metrics: {f'bit-identical in all {rows} rows' if metrics is None else f'different, first in {metrics}'}.\n"
        f"Weights: {_weights(old, new)}.\n"
        f"{'REPRODUCED' if same else 'NOT REPRODUCED'}: {before.name} and {again.name}"
    )
    return IDENTICAL if same else DIFFERENT


def _weights(old: comparison.FinalWeights | None, new: comparison.FinalWeights | None) -> str:
    if old is None or new is None:
        return "not comparable, since a run has no whole checkpoint"
    if old == new:
        return f"bit-identical at step {text.count(old.step)} (sha256 {old.sha256[:16]}...)"
    return f"different: {old.sha256[:16]}... at step {old.step}, {new.sha256[:16]}... at step {new.step}"


def _tell(what: str, differences: tuple[comparison.Difference, ...]) -> None:
    if not differences:
        click.echo(f"{what} is as it was: no difference in what the numbers may depend on.")
        return
    click.echo(f"{what} differs in {len(differences)}:")
    for difference in differences[:_SHOWN]:
        click.echo(f"  {difference}")
