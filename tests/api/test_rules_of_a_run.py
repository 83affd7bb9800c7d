"""The reader's half of the tables in support; the API server's is in tests/kube/crd."""

from __future__ import annotations

import pytest

from lightcompute.api import parse_training_run
from runcontract.faults import ConfigurationFault
from support.refused_runs import REFUSED
from support.run_documents import Case
from support.taken_runs import TAKEN


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_a_document_that_breaks_a_rule_is_refused_at_the_place_of_the_fault(case: Case) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        parse_training_run(case.document)
    # A fault of a key is told of below it: `nodeSelector.a/b/c.[key]`.
    found = {fault.where.removesuffix(".[key]") for fault in caught.value.faults}
    assert case.where in found


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.name)
def test_a_document_that_breaks_no_rule_is_taken(case: Case) -> None:
    run = parse_training_run(case.document)
    assert parse_training_run(run.document()) == run
