"""The API server and the reader of files judge alike, rule by rule.

What only one side can hold, and why:
- A field of no such name: the server passes over it unless it is asked to be strict, which kubectl does.
- `null` where a default stands: the server takes it for nothing given, the reader refuses it as a slip.
- `3.0` for a whole number: the server takes it and keeps 3, the reader refuses it.
- A change of a run that has started: only the server (and the commands that change a run) know the run before. So it is with the
  namespace of a cluster that was reached.
- Namespace, labels and annotations: they have the server's own rules; on a laptop they mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from lightcompute.api import parse_training_run
from lightcompute.api.crd import TRAINING_CLUSTER, TRAINING_RUN, Resource
from runcontract.document import read_document
from runcontract.faults import ConfigurationFault
from support.agreement import assert_kept_as_read
from support.cases import Case, changed
from support.refused_clusters import REFUSED_CLUSTERS
from support.refused_runs import REFUSED
from support.resource_server import ResourceServer
from support.run_documents import SMALL
from support.schemas import told_by_rules
from support.taken_clusters import TAKEN_CLUSTERS
from support.taken_runs import TAKEN

pytestmark = pytest.mark.slow
Judges = Mapping[str, ResourceServer]
EXAMPLES = (
    "baseline-met-run.yaml",
    "baseline-run.yaml",
    "quickstart-run.yaml",
    "speedrun-quality-run.yaml",
    "speedrun-run.yaml",
)


@pytest.mark.parametrize("case", [*REFUSED, *REFUSED_CLUSTERS], ids=str)
def test_the_server_refuses_what_breaks_a_rule_and_says_why_there_and_nowhere_else(
    judges: Judges, case: Case
) -> None:
    verdict = judges[case.base["kind"]].judge(case.document)
    assert not verdict.taken
    at = case.at or case.where
    # Of an unknown field the server speaks in one sentence and not by paths, and of no field when it says that it left rules out.
    assert {cause.field for cause in verdict.causes} <= {at, "<nil>"}, verdict.message
    told = [cause.message for cause in verdict.causes if cause.field == at]
    assert any(case.says in each for each in (told if verdict.causes else [verdict.message])), (
        verdict.message
    )
    assert at in verdict.message


@pytest.mark.parametrize("case", [*TAKEN, *TAKEN_CLUSTERS], ids=str)
def test_the_server_keeps_what_the_reader_reads(judges: Judges, case: Case) -> None:
    assert_kept_as_read(judges[case.base["kind"]], case.document)


@pytest.mark.parametrize(
    ("resource", "cases"),
    [(TRAINING_RUN, REFUSED), (TRAINING_CLUSTER, REFUSED_CLUSTERS)],
    ids=["runs", "clusters"],
)
def test_every_rule_is_broken_by_one_of_these_documents(
    judges: Judges, resource: Resource, cases: tuple[Case, ...]
) -> None:
    causes = [
        cause for case in cases for cause in judges[resource.kind].judge(case.document).causes
    ]
    heard = [(re.sub(r"\[\d+\]", "[]", cause.field), cause.message) for cause in causes]
    unheard = {
        rule
        for rule in told_by_rules(resource)
        if not any(rule.path == path and rule.text in message for path, message in heard)
    }
    assert unheard == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_server_keeps_every_example_as_it_is_read(
    judge: ResourceServer, checkout: Path, name: str
) -> None:
    assert {path.name for path in (checkout / "examples").glob("*.yaml")} == set(EXAMPLES)
    assert_kept_as_read(judge, read_document(checkout / "examples" / name))


def test_what_the_server_writes_into_a_run_is_its_defaults_and_never_a_shape(
    judge: ResourceServer,
) -> None:
    stored = judge.judge(changed(SMALL, {"spec.training.model": {"preset": "llama-15m"}})).stored
    assert stored is not None
    assert stored["spec"]["training"]["model"] == {"preset": "llama-15m"}
    assert stored["spec"]["training"]["seed"] == 1337
    assert stored["spec"]["placement"]["preRunningDeadlineSeconds"] == 3600
    assert "progressDeadlineSeconds" not in stored["spec"]
    assert "status" not in stored


def test_what_only_one_side_can_hold_is_as_it_is_written_above(judge: ResourceServer) -> None:
    null = changed(SMALL, {"spec.training.seed": None})
    whole = changed(SMALL, {"spec.training.seed": 3.0})
    for document, seed in ((null, 1337), (whole, 3)):
        with pytest.raises(ConfigurationFault, match=r"spec\.training\.seed"):
            parse_training_run(document)
        stored = judge.judge(document).stored
        assert stored is not None
        assert stored["spec"]["training"]["seed"] == seed
        assert parse_training_run(stored).spec.training is not None


def test_a_name_that_the_server_makes_up_is_held_to_the_same_rule(judge: ResourceServer) -> None:
    document = changed(SMALL, {"metadata": {"generateName": "run-"}})
    assert judge.judge(document).taken
    dotted = changed(SMALL, {"metadata": {"generateName": "run.of."}})
    assert "the name of a run is a DNS label" in judge.judge(dotted).message
