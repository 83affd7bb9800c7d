"""What is made in a cluster where the run is not says whose it is, on every object and on the pods that come of it."""

from __future__ import annotations

from typing import Any

from lightcompute.api import labels
from lightcompute.kube.manifests import manifests_of
from lightcompute.kube.pools import Home, pool_of_settings
from support.rendered_runs import SETTINGS, START, with_trainer

_AWAY = Home(namespace="training", origin="our-cluster")


def made() -> list[dict[str, Any]]:
    run = with_trainer(numNodes=2).build()
    found = manifests_of(run, START, SETTINGS, pool=pool_of_settings(SETTINGS.pool), home=_AWAY)
    return [*found.config_maps, *found.services, found.job]


def test_each_object_and_each_pod_bears_our_mark_and_the_name_of_its_run() -> None:
    pods = made()[-1]["spec"]["template"]
    for each in (*made(), pods):
        marks = each["metadata"]["labels"]
        assert marks[labels.ORIGIN] == "our-cluster"
        assert marks[labels.RUN_NAMESPACE] == "team-a"
        assert marks[labels.RUN_UID]


def test_all_of_it_is_in_the_one_namespace_and_owned_by_nothing_there() -> None:
    for each in made():
        assert each["metadata"]["namespace"] == "training"
        assert "ownerReferences" not in each["metadata"]
