"""Our kinds of objects, as the API server is told of them."""

from __future__ import annotations

from lightcompute.api.crd import (
    changes,
    rules_of_budget,
    rules_of_cluster,
    rules_of_spec,
    rules_of_training,
)
from lightcompute.api.crd.definition import Column, Resource
from lightcompute.api.crd.rule import Rule, literal
from lightcompute.api.crd.schema import Additions
from lightcompute.api.names import LABEL_PATTERN
from lightcompute.api.spec import TrainingRunSpec
from lightcompute.api.status import (
    TrainerStatus,
    TrainingRunStatus,
)
from lightcompute.api.trainer import Trainer
from lightcompute.api.training_budget import TrainingBudgetSpec, TrainingBudgetStatus
from lightcompute.api.training_cluster import TrainingClusterSpec, TrainingClusterStatus
from runcontract.base import document_key
from runcontract.order import Model, Training

_NAME = Rule(
    holds=f"self.metadata.name.matches({literal(LABEL_PATTERN)})",
    message="the name of a run is a DNS label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends",
    field="metadata.name",
)

_ADDITIONS = Additions(
    rules=rules_of_spec.RULES | rules_of_training.RULES,
    list_keys={
        (Trainer, "env"): "name",
        (Trainer, "imagePullSecrets"): "name",
        (Trainer, "volumes"): "name",
        (TrainingRunStatus, "conditions"): "type",
        (TrainingRunStatus, "attempts"): "number",
        (TrainingRunStatus, "checkpoints"): "name",
        (TrainerStatus, "metrics"): "name",
    },
    # A training is decided as a whole, and a status is written whole by the operator alone. Their fields, each with its writer, would
    # be half of the object, and of what an API server spends on each write.
    whole=frozenset({Training, TrainingRunStatus}),
    unwritten={
        # A default that the server writes would win over the preset.
        **{
            (Model, document_key(name)): "{} when neither this key nor the preset says another."
            for name in Model.model_fields
        },
        # Only a trainer that reports may have it, and whether one does is seen from its presence.
        (TrainingRunSpec, "progressDeadlineSeconds"): "{} with spec.training when not given.",
    },
)

TRAINING_RUN = Resource(
    kind="TrainingRun",
    plural="trainingruns",
    short_name="trun",
    scope="Namespaced",
    says="A model to train, within a budget: what is wanted (spec), and what is, why, and what it costs (status).",
    spec=TrainingRunSpec,
    status=TrainingRunStatus,
    additions=_ADDITIONS,
    rules=(_NAME, changes.rule()),
    columns=(
        Column(name="Phase", path=".status.phase", says="Where the run is, in one word."),
        Column(name="Cluster", path=".status.placement.place.cluster", says="Where it trains."),
        Column(name="GPU", path=".status.placement.place.gpuType", says="On what it trains."),
        Column(
            name="Progress",
            type="integer",
            path=".status.trainerStatus.progressPercentage",
            says="Share of the steps that is done, in percent.",
        ),
        Column(
            name="Loss",
            path='.status.trainerStatus.metrics[?(@.name=="validationLossNatsPerCharacter")].value',
            says="Newest validation loss, in nats per character.",
        ),
        Column(name="Cost", path=".status.cost.spentUSD", says="Charged so far, in US dollars."),
        Column(name="Budget", path=".spec.budget.limitUSD", says="The cap, in US dollars."),
        Column(name="Age", type="date", path=".metadata.creationTimestamp", says="Time since it was made."),
        Column(
            name="Target",
            path='.status.conditions[?(@.type=="TargetMet")].status',
            says="Whether the loss that spec.training.target names is reached.",
            wide=True,
        ),
        Column(
            name="Restarts",
            type="integer",
            path=".status.restarts",
            says="Attempts after the first.",
            wide=True,
        ),
        Column(name="Reason", path=".status.reason", says="Why the run is where it is.", wide=True),
    ),
)  # fmt: skip

TRAINING_CLUSTER = Resource(
    kind="TrainingCluster",
    plural="trainingclusters",
    short_name="tcluster",
    scope="Cluster",
    says="A cluster that runs may be placed into: how it is reached, its pools of GPUs and their prices (spec), and what is seen of it (status).",
    spec=TrainingClusterSpec,
    status=TrainingClusterStatus,
    additions=Additions(
        rules=rules_of_spec.RULES | rules_of_cluster.RULES,
        list_keys={
            (TrainingClusterSpec, "nodePools"): "name",
            (TrainingClusterStatus, "conditions"): "type",
            (TrainingClusterStatus, "nodePools"): "name",
        },
        whole=frozenset({TrainingClusterStatus}),
    ),
    rules=(rules_of_cluster.NAME, rules_of_cluster.KEPT),
    columns=(
        Column(name="Region", path=".spec.region", says="Where it is."),
        Column(
            name="Reachable",
            path='.status.conditions[?(@.type=="Reachable")].status',
            says="Whether it answers.",
        ),
        Column(name="GPUs", type="integer", path=".status.capacityGPUs", says="GPUs of all pools."),
        Column(name="Free", type="integer", path=".status.freeGPUs", says="Free GPUs."),
        Column(name="Reserved", type="integer", path=".status.reservedGPUs", says="GPUs that runs have reserved and do not hold yet."),
        Column(name="Runs", type="integer", path=".status.runningRuns", says="Runs with an attempt in it."),
        Column(name="Age", type="date", path=".metadata.creationTimestamp", says="Time since it was made."),
        Column(name="Version", path=".status.version", says="Version of its API server.", wide=True),
        Column(name="Latency", type="integer", path=".status.latencyMilliseconds", says="Time that its API server takes for an answer, in milliseconds.", wide=True),
        Column(
            name="Reason",
            path='.status.conditions[?(@.type=="Reachable")].reason',
            says="Why it is reachable or not.",
            wide=True,
        ),
    ),
)  # fmt: skip

TRAINING_BUDGET = Resource(
    kind="TrainingBudget",
    plural="trainingbudgets",
    short_name="tbudget",
    scope="Namespaced",
    says="What the runs of a namespace may cost together in a period (spec), and what was spent and is reserved (status).",
    spec=TrainingBudgetSpec,
    status=TrainingBudgetStatus,
    additions=Additions(
        rules=rules_of_budget.RULES,
        list_keys={(TrainingBudgetStatus, "conditions"): "type"},
        whole=frozenset({TrainingBudgetStatus}),
    ),
    rules=(rules_of_budget.NAME,),
    columns=(
        Column(name="Limit", path=".spec.limitUSD", says="What the runs may cost together in a period."),
        Column(name="Period", path=".spec.period", says="When the limit begins anew."),
        Column(name="Spent", path=".status.spentUSD", says="Spent in this period."),
        Column(name="Reserved", path=".status.reservedUSD", says="What runs that are alive may still cost in it."),
        Column(name="Remaining", path=".status.remainingUSD", says="What is left."),
        Column(name="Runs", type="integer", path=".status.runs", says="Runs that are alive and draw from it."),
        Column(name="Waiting", type="integer", path=".status.waitingRuns", says="Runs that wait for money."),
        Column(name="Age", type="date", path=".metadata.creationTimestamp", says="Time since it was made."),
        Column(name="Until", type="string", path=".status.periodEnd", says="When the next period begins.", wide=True),
    ),
)  # fmt: skip

RESOURCES = (TRAINING_RUN, TRAINING_CLUSTER, TRAINING_BUDGET)
