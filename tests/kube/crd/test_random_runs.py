"""Runs drawn at random: the server takes a run exactly when the reader takes it, and keeps what the reader reads."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightcompute.api.crd import TRAINING_RUN
from runcontract.order.presets import PRESETS
from support.agreement import assert_judged_alike
from support.cases import ABSENT, Document, changed
from support.random_changes import documents_with_changes
from support.resource_server import ResourceServer
from support.run_documents import SMALL, a_volume

pytestmark = pytest.mark.slow
_FOREIGN = changed(SMALL, {"spec.training": ABSENT, "spec.trainer": {"image": "a"}})
_WITH_LISTS = changed(
    SMALL,
    {
        "spec.trainer": {
            "env": [{"name": "A", "value": "1"}, {"name": "B"}],
            "tolerations": [{"key": "gpu", "value": "yes", "effect": "NoExecute"}],
            "imagePullSecrets": [{"name": "registry"}],
            "volumes": [a_volume(), a_volume(name="more", mountPath="/more")],
        },
        "spec.placement.regions": ["US-ORD1", "EU-FRA1"],
    },
)
_CHANGED = documents_with_changes(TRAINING_RUN, (SMALL, _FOREIGN, _WITH_LISTS))


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
    return changed(SMALL, {"spec.training.model": model})


# The server is the same for every example, which is meant.
_MANY = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip


@given(document=_CHANGED)
@_MANY
def test_a_changed_run_is_judged_alike(judge: ResourceServer, document: Document) -> None:
    assert_judged_alike(judge, document)


@given(document=runs_with_shapes())
@_MANY
def test_a_shape_is_judged_alike_whatever_the_preset(
    judge: ResourceServer, document: Document
) -> None:
    assert_judged_alike(judge, document)
