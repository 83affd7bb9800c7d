"""The status that the operator writes is kept as it is: a write that is refused would stop the bookkeeping of a run or a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from lightcompute.api import TrainingRunStatus, parse_resource
from lightcompute.api.crd import RESOURCES, TRAINING_RUN
from lightcompute.api.crd.schema import Side, structural
from runcontract.document import parse_model
from support.budget_documents import SMALL_BUDGET
from support.cases import Document, changed
from support.cluster_documents import SMALL_CLUSTER
from support.random_documents import largest, value
from support.resource_server import ResourceServer
from support.run_documents import SMALL
from support.testcluster.api import ApiFault

pytestmark = pytest.mark.slow
_BASES = {base["kind"]: base for base in (SMALL, SMALL_CLUSTER, SMALL_BUDGET)}
# With closed lists of words, as the models have them: the server's schema takes any word.
_STATUSES = {
    each.kind: structural(each.status, Side(additions=each.additions, is_spec=True))
    for each in RESOURCES
}
_DRAWN = {kind: value(schema, slips=False) for kind, schema in _STATUSES.items()}
_NAME = "status-is-kept"
LARGEST_BYTES = 1_000_000
"""etcd takes 1.5 MiB an object, and the spec and what the server adds want room too."""
each_kind = pytest.mark.parametrize("kept", [each.kind for each in RESOURCES], indirect=True)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An object whose status is written again and again, and never stored."""

    kind: str
    server: ResourceServer
    document: Document

    @property
    def model(self) -> type[BaseModel]:
        """The model of its status."""
        return next(each.status for each in RESOURCES if each.kind == self.kind)

    def write(self, status: Document) -> Document:
        """What the server would keep."""
        path, body = f"{self.server.path(_NAME)}/status", self.document | {"status": status}
        return self.server.api.put(path, body, dryRun="All", fieldValidation="Strict")


@pytest.fixture
def kept(request: pytest.FixtureRequest, judges: Mapping[str, ResourceServer]) -> Iterator[Kept]:
    """The object of the kind that the test names, a run where it names none."""
    kind = getattr(request, "param", TRAINING_RUN.kind)
    server = judges[kind]
    yield Kept(
        kind=kind,
        server=server,
        document=server.create(changed(_BASES[kind], {"metadata.name": _NAME})),
    )
    server.api.delete(server.path(_NAME))


def assert_kept(kept: Kept, document: Document) -> None:
    """What was written is read again as it was."""
    status: Any = parse_model(kept.model, document)
    assert parse_resource(kept.write(status.document())).status == status


@each_kind
@given(data=st.data())
@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_the_models_write_is_kept_as_it_is(kept: Kept, data: st.DataObject) -> None:
    assert_kept(kept, data.draw(_DRAWN[kept.kind]))


@each_kind
def test_the_largest_status_is_kept(kept: Kept) -> None:
    document = largest(_STATUSES[kept.kind])
    assert len(json.dumps(document, ensure_ascii=False).encode()) < LARGEST_BYTES
    assert_kept(kept, document)


@each_kind
def test_an_empty_status_is_kept(kept: Kept) -> None:
    assert_kept(kept, {})


def test_the_status_of_a_run_that_is_new_says_so(kept: Kept) -> None:
    assert kept.write(TrainingRunStatus().document())["status"]["phase"] == "Pending"


def test_a_word_that_was_added_after_the_schema_is_kept(kept: Kept) -> None:
    assert kept.write({"phase": "Dreaming"})["status"] == {"phase": "Dreaming"}


@each_kind
def test_a_status_beyond_its_bounds_is_refused(kept: Kept) -> None:
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "lastTransitionTime": "2030-01-01T12:00:00Z",
    }
    with pytest.raises(ApiFault, match=r"status\.conditions\[0\]\.message"):
        kept.write({"conditions": [condition | {"message": "x" * 1025}]})
    with pytest.raises(ApiFault, match="Duplicate value"):
        kept.write({"conditions": [condition, condition]})
