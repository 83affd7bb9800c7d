"""What must hold between fields of `spec` outside `training`, in CEL. Each says again what a validator of its model says."""

from __future__ import annotations

from pydantic import BaseModel

from lightcompute.api.crd.rule import Rule, let, one_of
from lightcompute.api.crd.rules_of_money import amount, positive_amount
from lightcompute.api.pod import TAKEN_FOLDERS, ClaimVolume, Toleration
from lightcompute.api.spec import (
    DEFAULT_PROGRESS_DEADLINE_SECONDS,
    Budget,
    Placement,
    TrainingRunSpec,
)
from lightcompute.api.storage import Storage
from lightcompute.api.trainer import OPERATOR_VARIABLES, Trainer, Variable


def _each_once(field: str) -> Rule:
    return Rule(
        holds=f"!has(self.{field}) || self.{field}.all(one, self.{field}.exists_one(other, one == other))",
        message="each name stands once: order is preference, and a second mention says nothing",
        field=field,
    )


RULES: dict[type[BaseModel], tuple[Rule, ...]] = {
    TrainingRunSpec: (
        Rule(
            holds="has(self.training) || has(self.trainer.image)"
            " || (has(self.trainer.command) && self.trainer.command.size() > 0)",
            message="give spec.training, or spec.trainer.image or command of another program",
            field="training",
        ),
        Rule(
            holds="has(self.training) || !has(self.progressDeadlineSeconds)"
            f" || self.progressDeadlineSeconds in [0, {DEFAULT_PROGRESS_DEADLINE_SECONDS}]",
            message="leave it out (or 0) without spec.training: another program reports no progress",
            field="progressDeadlineSeconds",
        ),
        Rule(
            holds="self.failurePolicy.backoff.maxSeconds >= self.failurePolicy.backoff.baseSeconds",
            message="backoff.maxSeconds is at least backoff.baseSeconds",
            field="failurePolicy.backoff.maxSeconds",
        ),
        Rule(
            holds="!has(self.checkpoints.pattern) || !has(self.training)"
            " || (has(self.trainer.command) && self.trainer.command.size() > 0)",
            message="leave it out for our own trainer: it keeps its checkpoints by their manifests",
            field="checkpoints.pattern",
        ),
        Rule(
            holds="!has(self.checkpoints.pattern) || !has(self.storage) || !has(self.storage.s3)",
            message="leave it out beside storage.s3: only checkpoints with a manifest are kept in a bucket",
            field="checkpoints.pattern",
        ),
    ),
    Placement: (
        _each_once("gpuTypes"),
        _each_once("regions"),
        _each_once("clusters"),
        amount("maxHourlyPriceUSD"),
    ),
    Budget: (positive_amount("limitUSD", called="the cap"),),
    Storage: (
        Rule(
            holds="[has(self.persistentVolumeClaim), has(self.s3), has(self.ephemeral)]"
            ".filter(given, given).size() <= 1",
            message="give one of persistentVolumeClaim, s3 and ephemeral",
        ),
    ),
    Variable: (
        Rule(
            holds="!(has(self.value) && has(self.valueFrom))",
            message="keep one of value and valueFrom",
            field="value",
        ),
        Rule(
            holds=f"!(self.name in {one_of(OPERATOR_VARIABLES)})",
            message="the operator sets this variable itself for each attempt; choose another name",
            field="name",
        ),
    ),
    Trainer: (
        Rule(
            holds="!has(self.volumes) || self.volumes.all(one,"
            " self.volumes.exists_one(other, one.mountPath == other.mountPath))",
            message="each mountPath stands once",
            field="volumes",
        ),
    ),
    Toleration: (
        Rule(
            holds="has(self.key) || self.operator == 'Exists'",
            message="give a key, or operator Exists for every key",
            field="operator",
        ),
        Rule(
            holds="self.operator != 'Exists' || !has(self.value) || self.value == ''",
            message="leave value out with operator Exists, or use operator Equal",
            field="value",
        ),
        Rule(
            holds="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            message="tolerationSeconds needs effect NoExecute",
            field="tolerationSeconds",
        ),
    ),
    ClaimVolume: (
        Rule(
            holds=let(
                f"{one_of(TAKEN_FOLDERS)}.all(taken, !((taken + '/').startsWith(mine) || mine.startsWith(taken + '/')))",
                mine="self.mountPath + '/'",
            ),
            message=f"a folder that neither holds nor lies in {', '.join(TAKEN_FOLDERS)}, such as /data",
            field="mountPath",
        ),
    ),
}
