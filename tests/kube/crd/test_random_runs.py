"""Runs drawn at random: the server takes a run exactly when the reader takes it, and keeps what the reader reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightcompute.api import parse_training_run
from lightcompute.api.crd import TRAINING_RUN, definition
from runcontract.faults import ConfigurationFault
from runcontract.order.presets import PRESETS
from support.random_documents import WRONG, paths, value
from support.run_documents import ABSENT, SMALL, Document, changed
from support.run_server import RunServer

pytestmark = pytest.mark.slow
_SPEC = definition(TRAINING_RUN)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
    "spec"
]
_FIELDS = {f"spec.{path}": schema for path, schema in paths(_SPEC)}
_RIGHT = {path: value(schema) for path, schema in _FIELDS.items()}
_MODEL = "spec.training.model"
_SHAPES = [path for path in _FIELDS if path.startswith(f"{_MODEL}.")]
_FOREIGN = changed(SMALL, {"spec.training": ABSENT, "spec.trainer": {"image": "a"}})


def one_change(fields: list[str]) -> st.SearchStrategy[tuple[str, Any]]:
    """A field, and a value that is right, wrong, or none."""
    return st.sampled_from(fields).flatmap(
        lambda path: st.tuples(
            st.just(path),
            st.one_of(_RIGHT[path], _RIGHT[path], st.sampled_from(WRONG), st.just(ABSENT)),
        )
    )


@st.composite
def runs_with_changes(draw: st.DrawFn) -> Document:
    """A run that is right, with a few changes; one that replaces an object with a word may hide those below it."""
    document = draw(st.sampled_from((SMALL, _FOREIGN)))
    for path, drawn in draw(st.lists(one_change(list(_FIELDS)), min_size=1, max_size=4)):
        document = laid_over(document, path, drawn)
    return document


@st.composite
def runs_with_shapes(draw: st.DrawFn) -> Document:
    """A run whose model has a preset and some keys beside it: small numbers, so that they fit now and then."""
    model: Document = {}
    if draw(st.booleans()):
        model["preset"] = draw(st.sampled_from(sorted(PRESETS)))
    small = {
        "heads": st.integers(1, 12),
        "kvHeads": st.integers(1, 12),
        "embeddingSize": st.integers(1, 16).map(lambda number: number * 24),
        "headSize": st.integers(2, 24),
        "layers": st.integers(1, 6),
        "valueEmbeddingLayers": st.integers(0, 6),
        "rotaryFraction": st.sampled_from((0, 0.1, 0.25, 0.3, 0.5, 0.75, 1)),
    }
    for key in draw(st.lists(st.sampled_from(sorted(small)), unique=True)):
        model[key] = draw(small[key])
    return changed(SMALL, {_MODEL: model})


def laid_over(document: Document, path: str, drawn: Any) -> Document:
    """`document` with `drawn` at `path`, unless something on the way there is no object any more."""
    place: Any = document
    for folder in path.split(".")[:-1]:
        place = place.get(folder, {})
        if not isinstance(place, dict):
            return document
    return changed(document, {path: drawn})


def read(document: Document) -> tuple[bool, str]:
    try:
        parse_training_run(document)
    except ConfigurationFault as fault:
        return False, str(fault)
    return True, ""


def assert_judged_alike(judge: RunServer, document: Document) -> None:
    taken, fault = read(document)
    verdict = judge.judge(document)
    assert verdict.taken == taken, (
        f"server: {verdict.message or 'taken'}\nreader: {fault or 'taken'}"
    )
    if verdict.stored is not None:
        assert parse_training_run(verdict.stored).spec == parse_training_run(document).spec


# The server is the same for every example, which is meant.
_MANY = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip


@given(document=runs_with_changes())
@_MANY
def test_a_changed_run_is_judged_alike(judge: RunServer, document: Document) -> None:
    assert_judged_alike(judge, document)


@given(document=runs_with_shapes())
@_MANY
def test_a_shape_is_judged_alike_whatever_the_preset(judge: RunServer, document: Document) -> None:
    assert_judged_alike(judge, document)
