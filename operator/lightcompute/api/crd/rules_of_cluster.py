"""What must hold between fields of a TrainingCluster, in CEL. Each says again what a validator of its model says, but KEPT."""

from __future__ import annotations

from pydantic import BaseModel

from lightcompute.api.crd.rule import Rule, literal, same
from lightcompute.api.crd.rules_of_money import positive_amount
from lightcompute.api.names import LABEL_PATTERN
from lightcompute.api.training_cluster import Connection, NodePool, TrainingClusterSpec

NAME = Rule(
    holds=f"self.metadata.name.matches({literal(LABEL_PATTERN)})",
    message="the name of a cluster is a DNS label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends",
    field="metadata.name",
)

_NAMESPACE = "__namespace__"
"""`namespace` is a word of CEL's own, and so is written like this."""

KEPT = Rule(
    holds="!has(oldSelf.status) || !has(oldSelf.status.clusterUid) || oldSelf.status.clusterUid == ''"
    f" || {same(f'spec.{_NAMESPACE}')}",
    message="the namespace that runs are in cannot change once the cluster was reached: put it back;"
    " when nothing runs there any more, delete this TrainingCluster and apply the new one",
    field="spec.namespace",
)
"""New attempts are looked for in this namespace alone, and those placed before a change of it would be out of sight.

Another way to the cluster that leaves runs beside themselves (`inCluster`) has no namespace, so it is held as well.
"""

# Two ways or none are told by the rule of the connection, and nothing else is asked then.
_IS_REMOTE = "(!self.connection.inCluster && has(self.connection.kubeconfigSecret))"
_IS_OWN = "(self.connection.inCluster && !has(self.connection.kubeconfigSecret))"

RULES: dict[type[BaseModel], tuple[Rule, ...]] = {
    Connection: (
        Rule(
            holds="self.inCluster != has(self.kubeconfigSecret)",
            message="give one of inCluster: true and kubeconfigSecret",
            field="kubeconfigSecret",
        ),
        Rule(
            holds="!self.inCluster || !has(self.context)",
            message="leave context out with inCluster: true: there is no kubeconfig to choose from",
            field="context",
        ),
    ),
    NodePool: (positive_amount("pricePerGPUHourUSD", called="the price"),),
    TrainingClusterSpec: (
        Rule(
            holds=f"!{_IS_REMOTE} || has(self.{_NAMESPACE})",
            message="give the namespace of that cluster which runs go to",
            field="namespace",
        ),
        Rule(
            holds=f"!{_IS_OWN} || !has(self.{_NAMESPACE})",
            message="leave namespace out with inCluster: true: runs stay in their own namespace",
            field="namespace",
        ),
    ),
}
