"""The reader's half of the tables in support; the API server's is in tests/kube/crd."""

from __future__ import annotations

import pytest

from lightcompute.api import parse_resource
from runcontract.faults import ConfigurationFault
from support.cases import Case
from support.refused_clusters import REFUSED_CLUSTERS
from support.refused_runs import REFUSED
from support.taken_clusters import TAKEN_CLUSTERS
from support.taken_runs import TAKEN


@pytest.mark.parametrize("case", [*REFUSED, *REFUSED_CLUSTERS], ids=str)
def test_a_document_that_breaks_a_rule_is_refused_there_and_nowhere_else(case: Case) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        parse_resource(case.document)
    # A fault of a key is told of below it: `nodeSelector.a/b/c.[key]`.
    assert {fault.where.removesuffix(".[key]") for fault in caught.value.faults} == {case.where}
    told = [f"{fault.expected}. {fault.action}" for fault in caught.value.faults]
    assert any(case.reads in each for each in told), str(caught.value)


@pytest.mark.parametrize("case", [*TAKEN, *TAKEN_CLUSTERS], ids=str)
def test_a_document_that_breaks_no_rule_is_taken(case: Case) -> None:
    read = parse_resource(case.document)
    assert parse_resource(read.document()) == read
