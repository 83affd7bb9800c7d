"""The status that the operator writes is kept as it is: a write that is refused would stop the run's bookkeeping."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from lightcompute.api import TrainingRunStatus, parse_training_run
from lightcompute.api.crd import TRAINING_RUN
from lightcompute.api.crd.schema import Side, structural
from runcontract.document import parse_model
from support.random_documents import largest, value
from support.run_documents import SMALL, Document, changed
from support.run_server import RunServer
from support.testcluster.api import ApiFault

pytestmark = pytest.mark.slow
# With closed lists of words, as the models have them: the server's schema takes any word.
_STATUS = structural(TrainingRunStatus, Side(additions=TRAINING_RUN.additions, is_spec=True))
LARGEST_BYTES = 1_000_000
"""etcd takes 1.5 MiB an object, and the spec and what the server adds want room too."""


@pytest.fixture(scope="session")
def kept(judge: RunServer) -> Document:
    """A run whose status is written again and again."""
    return judge.api.patch(
        judge.path("kept"),
        changed(SMALL, {"metadata.name": "kept"}),
        kind="apply",
        fieldManager="tests",
        force="true",
    )


def written(judge: RunServer, kept: Document, status: Document) -> Document:
    path = f"{judge.path('kept')}/status"
    return judge.api.put(path, kept | {"status": status}, dryRun="All", fieldValidation="Strict")


@given(drawn=value(_STATUS, slips=False))
@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_the_models_write_is_kept_as_it_is(
    judge: RunServer, kept: Document, drawn: Document
) -> None:
    status = parse_model(TrainingRunStatus, drawn)
    stored = written(judge, kept, status.document())
    assert parse_training_run(stored).status == status


def test_the_largest_status_is_kept(judge: RunServer, kept: Document) -> None:
    status = parse_model(TrainingRunStatus, largest(_STATUS))
    document = status.document()
    assert len(json.dumps(document, ensure_ascii=False).encode()) < LARGEST_BYTES
    stored = written(judge, kept, document)
    assert parse_training_run(stored).status == status


def test_an_empty_status_is_kept(judge: RunServer, kept: Document) -> None:
    assert written(judge, kept, TrainingRunStatus().document())["status"]["phase"] == "Pending"


def test_a_word_that_was_added_after_the_schema_is_kept(judge: RunServer, kept: Document) -> None:
    assert written(judge, kept, {"phase": "Dreaming"})["status"] == {"phase": "Dreaming"}


def test_a_status_beyond_its_bounds_is_refused(judge: RunServer, kept: Document) -> None:
    with pytest.raises(ApiFault, match=r"status\.message"):
        written(judge, kept, {"message": "x" * 1025})
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "SpecAccepted",
        "lastTransitionTime": "2030-01-01T12:00:00Z",
    }
    with pytest.raises(ApiFault, match="Duplicate value"):
        written(judge, kept, {"conditions": [condition, condition]})
