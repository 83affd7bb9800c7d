"""What must hold between fields of a TrainingCluster, in CEL. Each says again what a validator of its model says."""

from __future__ import annotations

from pydantic import BaseModel

from lightcompute.api.crd.rule import Rule, literal
from lightcompute.api.names import LABEL_PATTERN
from lightcompute.api.training_cluster import Connection, NodePool, TrainingClusterSpec

NAME = Rule(
    holds=f"self.metadata.name.matches({literal(LABEL_PATTERN)})",
    message="the name of a cluster is a DNS label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends",
    field="metadata.name",
)

_REMOTE = "has(self.connection.kubeconfigSecret)"

RULES: dict[type[BaseModel], tuple[Rule, ...]] = {
    Connection: (
        Rule(
            holds="self.inCluster != has(self.kubeconfigSecret)",
            message="give one of inCluster: true and kubeconfigSecret",
            field="kubeconfigSecret",
        ),
        Rule(
            holds="!self.inCluster || !has(self.context)",
            message="leave context out with inCluster: true",
            field="context",
        ),
    ),
    NodePool: (
        Rule(
            holds="self.pricePerGPUHourUSD.matches('[1-9]') || self.pricePerGPUHourUSD == ''",
            message="the price is above 0 US dollars",
            field="pricePerGPUHourUSD",
        ),
        Rule(
            holds="!self.pricePerGPUHourUSD.matches('^[0-9]{1,7}([.][0-9]{1,6})?$')"
            " || double(self.pricePerGPUHourUSD) <= 1000000.0",
            message="at most 1000000 US dollars",
            field="pricePerGPUHourUSD",
        ),
    ),
    TrainingClusterSpec: (
        Rule(
            holds=f"!{_REMOTE} || has(self.namespace)",
            message="give the namespace of the cluster that runs go to",
            field="namespace",
        ),
        Rule(
            holds=f"{_REMOTE} || !has(self.namespace)",
            message="leave namespace out with inCluster: true: runs stay in their own",
            field="namespace",
        ),
    ),
}
