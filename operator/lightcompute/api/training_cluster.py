"""TrainingCluster: a cluster that runs may be placed into, how it is reached, and the pools of GPUs in it with their prices.

`spec` is what a person knows of it; `status` is what the operator sees there. What runs cost stands in the runs alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from lightcompute.api.money import MAX_AMOUNT, USD
from lightcompute.api.names import (
    LABEL_PATTERN,
    QUALIFIED_PATTERN,
    DataKey,
    LabelKey,
    LabelValue,
    ObjectName,
    twice,
)
from lightcompute.api.pod import Toleration
from lightcompute.api.status import Whereabouts
from lightcompute.api.training_run import Metadata
from lightcompute.api.words import ClusterConditionType
from runcontract.base import (
    API_VERSION,
    ApiVersion,
    ContractModel,
    FieldFault,
    ReportModel,
    refuse,
)

MAX_POOLS = 32
MAX_OWED = 64
MAX_NODE_COUNTS = 20

Label = Annotated[str, StringConstraints(pattern=LABEL_PATTERN, min_length=1, max_length=63)]
Word = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$", min_length=1, max_length=63
    ),
]
ResourceName = Annotated[
    str, StringConstraints(pattern=QUALIFIED_PATTERN, min_length=1, max_length=253)
]


class KubeconfigSecret(ContractModel):
    """A Secret in the operator's own namespace that holds a kubeconfig."""

    name: ObjectName = Field(description="Name of the Secret, in the operator's namespace.")
    key: DataKey = Field(default="kubeconfig", description="Key in it.")


class Connection(ContractModel):
    """How the cluster is reached: one of two ways."""

    in_cluster: bool = Field(
        default=False,
        description="The cluster that the operator itself runs in, with the operator's own account.",
    )
    kubeconfig_secret: KubeconfigSecret | None = Field(
        default=None, description="A kubeconfig for it. A changed Secret takes effect by itself."
    )
    context: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="Context of the kubeconfig. Its current one when not given.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        refuse(
            FieldFault(
                field="kubeconfigSecret",
                found="both" if self.in_cluster else "neither",
                expected="one of inCluster: true and kubeconfigSecret",
            )
            if self.in_cluster == (self.kubeconfig_secret is not None)
            else None,
            FieldFault(
                field="context",
                found=self.context,
                expected="nothing with inCluster: true: there is no kubeconfig to choose from",
            )
            if self.in_cluster and self.context is not None
            else None,
        )
        return self


class NodePool(ContractModel):
    """Nodes of one kind. No node may belong to two pools of a cluster."""

    name: Label = Field(description="Name of the pool, each once in a cluster.")
    gpu_type: Word = Field(
        description="Type of its GPUs, as runs name it: A100-40GB, A100-80GB, L40S and others that the operator knows."
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        default={},
        max_length=16,
        description="Labels that its nodes have. Every node of the cluster when empty.",
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=16, description="Taints of its nodes that trainer pods put up with."
    )
    gpus_per_node: int = Field(
        ge=1, le=64, description="GPUs of one node: what a node that is yet to come will have."
    )
    max_nodes: int | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="Nodes that it grows to when pods wait for them. It doesn't grow with 0, or when not given.",
    )
    price_per_gpu_hour_usd: USD = Field(
        gt=0,
        le=MAX_AMOUNT,
        description='What one GPU costs for an hour in US dollars, as text such as "1.10".',
    )
    spot: bool = Field(
        default=False, description="Whether its nodes may be taken away at any time."
    )
    gpu_resource: ResourceName = Field(
        default="nvidia.com/gpu", description="Resource that a GPU is asked for by."
    )


class TrainingClusterSpec(ContractModel):
    """What a person knows of the cluster."""

    region: Word = Field(description="Where it is, as runs name it, such as US-ORD1.")
    connection: Connection = Field(description="How it is reached.")
    namespace: Label | None = Field(
        default=None,
        description="Namespace that runs go to. Required with a kubeconfig; with inCluster runs stay in their own. Cannot change once the cluster was reached.",
    )
    allowed_namespaces: tuple[Label, ...] = Field(
        default=(),
        max_length=256,
        description="Namespaces whose runs may use it. Every one when empty.",
    )
    node_pools: tuple[NodePool, ...] = Field(
        min_length=1, max_length=MAX_POOLS, description="Its pools of GPUs."
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        name = twice(pool.name for pool in self.node_pools)
        is_own = self.connection.in_cluster
        refuse(
            FieldFault(field="nodePools", found=name, expected="each name once")
            if name is not None
            else None,
            FieldFault(
                field="namespace",
                found=None,
                expected="the namespace of that cluster which runs go to",
            )
            if not is_own and self.namespace is None
            else None,
            FieldFault(
                field="namespace",
                found=self.namespace,
                expected="nothing with inCluster: true: runs stay in their own namespace",
            )
            if is_own and self.namespace is not None
            else None,
        )
        return self


class ClusterCondition(ReportModel):
    """One question answered, as `metav1.Condition`."""

    type: ClusterConditionType = Field(description="The question.")
    status: Literal["True", "False", "Unknown"] = Field(description="The answer.")
    reason: str = Field(max_length=64, description="CamelCase word for why.")
    message: str = Field(default="", max_length=1024, description="Why, with numbers.")
    observed_generation: int = Field(default=0, description="Generation of the spec it is about.")
    last_transition_time: datetime = Field(description="When the answer last changed.")


class NodeCount(ReportModel):
    """Nodes that are alike."""

    gpus: int = Field(ge=0, description="GPUs of each.")
    nodes: int = Field(ge=1, description="How many nodes.")


class PoolStatus(ReportModel):
    """A pool as it is seen."""

    name: str = Field(max_length=63, description="Name of the pool.")
    gpu_type: str = Field(default="", max_length=63, description="Type of its GPUs.")
    nodes: int = Field(default=0, ge=0, description="Nodes that pods can be put onto.")
    capacity_gpus: int = Field(default=0, ge=0, description="GPUs of these nodes.")
    free_gpus: int = Field(
        default=0, ge=0, description="GPUs of them that no pod holds and no run has reserved."
    )
    reserved_gpus: int = Field(
        default=0, ge=0, description="GPUs that runs have reserved and no pod of theirs holds yet."
    )
    running_runs: int = Field(default=0, ge=0, description="Runs with an attempt in it.")
    free_nodes: tuple[NodeCount, ...] = Field(
        default=(),
        max_length=MAX_NODE_COUNTS,
        description="Its nodes by the GPUs of each that are free, fewest first. With more kinds than are listed, some nodes are listed with fewer GPUs than they have.",
    )
    all_nodes: tuple[NodeCount, ...] = Field(
        default=(),
        max_length=MAX_NODE_COUNTS,
        description="The same nodes by all GPUs of each.",
    )
    addable_nodes: int = Field(
        default=0,
        ge=0,
        description="Nodes that may still be added when pods wait, and that no run has reserved.",
    )


class FormerPool(ReportModel):
    """A pool that the spec names no more, with runs in it: they go on, at the last price that they had."""

    name: str = Field(default="", max_length=63, description="Name that it had.")
    gpu_type: str = Field(default="", max_length=63, description="Type of GPUs that it had.")
    running_runs: int = Field(default=0, ge=0, description="Runs with an attempt in it.")
    gpus: int = Field(default=0, ge=0, description="GPUs that these take up.")


class Owed(ReportModel):
    """An attempt of a run that is no more, of which it is not known whether it still runs there."""

    run: str = Field(max_length=127, description="Namespace and name of the run.")
    run_uid: str = Field(max_length=64, description="Its UID.")
    attempt: int = Field(ge=0, description="Number of the attempt.")
    whereabouts: Whereabouts | None = Field(
        default=None, description="Where its children are. None where that is not on record."
    )
    since: datetime = Field(description="Since when.")


class TrainingClusterStatus(ReportModel):
    """What the operator sees of the cluster."""

    observed_generation: int = Field(default=0, description="Generation of the spec it is about.")
    conditions: tuple[ClusterCondition, ...] = Field(
        default=(), max_length=8, description="Questions answered."
    )
    cluster_uid: str = Field(
        default="",
        max_length=64,
        description="Which cluster it is: UID of its namespace kube-system. A kubeconfig that leads to another is not used.",
    )
    version: str = Field(default="", max_length=64, description="Version of its API server.")
    latency_milliseconds: int | None = Field(
        default=None, ge=0, description="Time that its API server took for an answer, roughly."
    )
    capacity_gpus: int = Field(default=0, ge=0, description="GPUs of all pools.")
    free_gpus: int = Field(default=0, ge=0, description="Free GPUs of all pools.")
    reserved_gpus: int = Field(default=0, ge=0, description="Reserved GPUs of all pools.")
    running_runs: int = Field(default=0, ge=0, description="Runs with an attempt in it.")
    node_pools: tuple[PoolStatus, ...] = Field(
        default=(), max_length=MAX_POOLS, description="Its pools as they are seen."
    )
    former_pools: tuple[FormerPool, ...] = Field(
        default=(),
        max_length=MAX_POOLS,
        description="Pools that the spec names no more, by this name and type, and that runs are still in.",
    )
    owed: tuple[Owed, ...] = Field(
        default=(),
        max_length=MAX_OWED,
        description="What runs that are no more may have left there; removed when the cluster can be reached.",
    )


class TrainingCluster(ContractModel):
    """A cluster that runs may be placed into."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Version of this document.")
    kind: Literal["TrainingCluster"] = Field(default="TrainingCluster", description="Kind.")
    metadata: Metadata = Field(description="Which cluster it is.")
    spec: TrainingClusterSpec = Field(description="What a person knows of it.")
    status: TrainingClusterStatus = Field(
        default=TrainingClusterStatus(), description="What the operator sees of it."
    )
