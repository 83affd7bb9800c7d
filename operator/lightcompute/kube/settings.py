"""What an operator is told when it starts: where it works, what its place is and costs, which image trains. Checked once, then fixed."""

from __future__ import annotations

from pydantic import Field

from lightcompute.api.money import USD
from lightcompute.api.status import Place
from runcontract.base import ContractModel

LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"


class Toleration(ContractModel):
    """A taint of the pool that trainer pods put up with: any with this key."""

    key: str = Field(min_length=1, max_length=317, description="Key of the taint.")


class PoolSettings(ContractModel):
    """The nodes that runs are placed onto."""

    cluster: str = Field(
        default="in-cluster",
        min_length=1,
        max_length=63,
        pattern=LABEL_VALUE,
        description="Name of the cluster in status and in labels.",
    )
    region: str = Field(default="", max_length=63, description="Its region.")
    name: str = Field(
        default="default", min_length=1, max_length=63, description="Name of the pool."
    )
    gpu_type: str = Field(
        default="", max_length=63, description="Type of its GPUs, as runs name it."
    )
    node_selector: dict[str, str] = Field(
        default={}, max_length=16, description="Labels of its nodes."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=16, description="Taints of its nodes."
    )
    price_per_gpu_hour_usd: USD = Field(default=0, description="What one GPU costs for an hour.")
    gpu_resource: str = Field(
        default="nvidia.com/gpu",
        max_length=253,
        description="Resource that a GPU is asked for by; empty for nodes without any.",
    )

    @property
    def place(self) -> Place:
        """The pool as a place."""
        return Place(
            cluster=self.cluster, region=self.region, pool=self.name, gpu_type=self.gpu_type
        )


class OperatorSettings(ContractModel):
    """All of it."""

    pool: PoolSettings = Field(default=PoolSettings(), description="Where runs are placed.")
    trainer_image: str = Field(
        default="lightcompute-trainer:latest",
        min_length=1,
        max_length=500,
        description="Image of our trainer, for runs that name none, and of the TensorBoard sidecar.",
    )
    image_pull_policy: str | None = Field(
        default=None, description="When images are pulled: Always, IfNotPresent or Never."
    )
    namespaces: tuple[str, ...] = Field(
        default=(),
        max_length=256,
        description="Namespaces whose runs are looked after. All when empty.",
    )
    grace_seconds: int = Field(
        default=30,
        ge=1,
        le=3600,
        description="From asking an attempt to leave until it is killed, at least: where a run's saves were measured to take long, longer.",
    )
    clock_skew_seconds: int = Field(
        default=2,
        ge=0,
        le=3600,
        description="Largest difference between clocks, kept out of the budget.",
    )
    requests_per_second: float = Field(
        default=500,
        gt=0,
        le=10_000,
        description="Requests that the API server gets from us at most.",
    )
    log_reads_per_second: float = Field(
        default=10, gt=0, le=1000, description="Logs of trainers that are read in a second at most."
    )
    training_clusters: bool = Field(
        default=False,
        description="Place runs into the pools of TrainingClusters, once there are any.",
    )
    extra_gpu_types: tuple[str, ...] = Field(
        default=(),
        max_length=64,
        description="GPU types that TrainingClusters may name besides the known ones.",
    )
    allow_exec_plugins: bool = Field(
        default=False,
        description="Run the programs that kubeconfigs of TrainingClusters name for their credentials.",
    )
    workers: int = Field(default=24, ge=1, le=256, description="Runs that are looked at at once.")
    lease_namespace: str = Field(
        default="default", max_length=63, description="Where the Lease of this operator is."
    )
    lease_name: str = Field(default="lightcompute-operator", max_length=63, description="Its name.")
    lease_seconds: int = Field(
        default=15, ge=3, le=300, description="A Lease that was not renewed for so long is free."
    )
    http_port: int = Field(
        default=8080,
        ge=0,
        le=65535,
        description="Port of /healthz, /readyz and /metrics. 0 for any free one.",
    )
    http_host: str = Field(default="0.0.0.0", max_length=253, description="Address of it.")  # noqa: S104 - a pod's own address
