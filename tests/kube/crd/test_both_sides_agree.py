"""The API server and the reader of files judge alike, rule by rule.

What only one side can hold, and why:
- A field of no such name: the server passes over it unless it is asked to be strict, which kubectl does.
- `null` where a default stands: the server takes it for nothing given, the reader refuses it as a slip.
- `3.0` for a whole number: the server takes it and keeps 3, the reader refuses it.
- A change of a run that has started: only the server (and the commands that change a run) know the run before.
- Namespace, labels and annotations: they have the server's own rules; on a laptop they mean nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightcompute.api import parse_training_run
from runcontract.document import read_document
from runcontract.faults import ConfigurationFault
from support.refused_runs import REFUSED
from support.run_documents import SMALL, Case, changed
from support.run_server import RunServer
from support.taken_runs import TAKEN

pytestmark = pytest.mark.slow
EXAMPLES = (
    "baseline-met-run.yaml",
    "baseline-run.yaml",
    "quickstart-run.yaml",
    "speedrun-quality-run.yaml",
    "speedrun-run.yaml",
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_the_server_refuses_what_breaks_a_rule_and_says_where_and_why(
    judge: RunServer, case: Case
) -> None:
    verdict = judge.judge(case.document)
    assert not verdict.taken
    assert case.says in verdict.message
    assert (case.at or case.where) in verdict.message


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.name)
def test_the_server_keeps_the_run_that_the_reader_reads(judge: RunServer, case: Case) -> None:
    assert_kept_as_read(judge, case.document)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_server_keeps_every_example_as_it_is_read(
    judge: RunServer, checkout: Path, name: str
) -> None:
    assert {path.name for path in (checkout / "examples").glob("*.yaml")} == set(EXAMPLES)
    assert_kept_as_read(judge, read_document(checkout / "examples" / name))


def assert_kept_as_read(judge: RunServer, document: dict[str, Any]) -> None:
    verdict = judge.judge(document)
    assert verdict.stored is not None, verdict.message
    assert parse_training_run(verdict.stored).spec == parse_training_run(document).spec


def test_what_the_server_writes_into_a_run_is_its_defaults_and_never_a_shape(
    judge: RunServer,
) -> None:
    stored = judge.judge(changed(SMALL, {"spec.training.model": {"preset": "llama-15m"}})).stored
    assert stored is not None
    assert stored["spec"]["training"]["model"] == {"preset": "llama-15m"}
    assert stored["spec"]["training"]["seed"] == 1337
    assert stored["spec"]["placement"]["preRunningDeadlineSeconds"] == 3600
    assert "progressDeadlineSeconds" not in stored["spec"]
    assert "status" not in stored


def test_what_only_one_side_can_hold_is_as_it_is_written_above(judge: RunServer) -> None:
    null = changed(SMALL, {"spec.training.seed": None})
    whole = changed(SMALL, {"spec.training.seed": 3.0})
    for document, seed in ((null, 1337), (whole, 3)):
        with pytest.raises(ConfigurationFault, match=r"spec\.training\.seed"):
            parse_training_run(document)
        stored = judge.judge(document).stored
        assert stored is not None
        assert stored["spec"]["training"]["seed"] == seed
        assert parse_training_run(stored).spec.training is not None


def test_a_name_that_the_server_makes_up_is_held_to_the_same_rule(judge: RunServer) -> None:
    document = changed(SMALL, {"metadata": {"generateName": "run-"}})
    assert judge.judge(document).taken
    dotted = changed(SMALL, {"metadata": {"generateName": "run.of."}})
    assert "the name of a run is a DNS label" in judge.judge(dotted).message
