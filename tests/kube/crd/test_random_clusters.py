"""TrainingClusters drawn at random: the server takes one exactly when the reader takes it, and keeps what the reader reads."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightcompute.api.crd import TRAINING_CLUSTER
from support.agreement import assert_judged_alike
from support.cases import Document, changed
from support.cluster_documents import FULL_CLUSTER, OWN, SMALL_CLUSTER, a_pool
from support.random_changes import documents_with_changes
from support.random_documents import AMOUNTS, AMOUNTS_TOO_LARGE
from support.resource_server import ResourceServer

pytestmark = pytest.mark.slow
_CHANGED = documents_with_changes(
    TRAINING_CLUSTER, (SMALL_CLUSTER, changed(SMALL_CLUSTER, OWN), FULL_CLUSTER)
)
_NAMES = st.sampled_from(("training", "a" * 63, "a" * 64, "a.b", ""))
_SECRETS = st.fixed_dictionaries({"name": _NAMES}, optional={"key": st.sampled_from(("k", "a/b"))})
_CONNECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "inCluster": st.booleans(),
        "kubeconfigSecret": _SECRETS,
        "context": st.sampled_from(("it", "")),
    },
)


@st.composite
def pools(draw: st.DrawFn) -> list[Document]:
    """None to three pools of two names, and of prices that may be too low or too high."""
    pool = st.fixed_dictionaries(
        {
            "name": st.sampled_from("ab"),
            "pricePerGPUHourUSD": st.sampled_from((*AMOUNTS, *AMOUNTS_TOO_LARGE, "1.79", "1.79")),
            "gpusPerNode": st.integers(0, 65) | st.just(8),
        },
        optional={"maxNodes": st.sampled_from((-1, 0, 4, 10_000, 10_001))},
    )
    return [a_pool(**each) for each in draw(st.lists(pool, max_size=3))]


@st.composite
def clusters_of_every_way(draw: st.DrawFn) -> Document:
    """What there is between the fields of a cluster: ways to it, where runs go, names of pools. The rest is as it should be."""
    changes: Document = {}
    if draw(st.booleans()):
        changes["spec.nodePools"] = draw(pools())
    document = changed(SMALL_CLUSTER, changes | {"spec.connection": draw(_CONNECTIONS)})
    if draw(st.booleans()):
        del document["spec"]["namespace"]
    elif draw(st.booleans()):
        document["spec"]["namespace"] = draw(_NAMES)
    return document


# The server is the same for every example, which is meant.
_MANY = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip


@given(document=_CHANGED)
@_MANY
def test_a_changed_cluster_is_judged_alike(
    judges: Mapping[str, ResourceServer], document: Document
) -> None:
    assert_judged_alike(judges[TRAINING_CLUSTER.kind], document)


@given(document=clusters_of_every_way())
@_MANY
def test_every_way_to_a_cluster_is_judged_alike(
    judges: Mapping[str, ResourceServer], document: Document
) -> None:
    assert_judged_alike(judges[TRAINING_CLUSTER.kind], document)
