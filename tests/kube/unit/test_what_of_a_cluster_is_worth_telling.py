"""Which nodes have the free GPUs changes with every pod; a status is not written for that alone each time."""

from __future__ import annotations

from lightcompute.api.training_cluster import NodeCount, PoolStatus, TrainingClusterStatus
from lightcompute.kube.cluster_report import tells_but_nodes


def of_pool(*free: tuple[int, int], **more: int) -> TrainingClusterStatus:
    nodes = tuple(NodeCount(gpus=gpus, nodes=count) for gpus, count in free)
    pool = PoolStatus(name="a", free_gpus=8, free_nodes=nodes).model_copy(update=more)
    return TrainingClusterStatus(node_pools=(pool,))


def test_free_gpus_on_other_nodes_are_no_news_and_another_number_of_them_is() -> None:
    known = of_pool((0, 1), (8, 1))
    assert tells_but_nodes(known, of_pool((4, 2)))
    assert not tells_but_nodes(known, of_pool((4, 2), free_gpus=7))
    assert not tells_but_nodes(known, of_pool((4, 2), addable_nodes=1))
    assert not tells_but_nodes(known, TrainingClusterStatus())
