"""Documents that break one rule each: of the whole run, of its trainer, and (from `refused_trainings`) of its training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightcompute.api.pod import TAKEN_FOLDERS
from lightcompute.api.trainer import OPERATOR_VARIABLES
from support.cases import ABSENT, Case
from support.refused_parts import AMOUNTS, LABEL_KEYS, LABEL_VALUES, TOLERATIONS
from support.refused_trainings import refused_trainings
from support.run_documents import a_volume, run_case

_KEY = "a key matches"
_LONG = "a key has at most"


def _trainer(name: str, field: str, value: Any, where: str, says: str, reads: str = "") -> Case:
    changes = {f"spec.trainer.{field}": value}
    at = f"spec.trainer.{where}"
    if says.startswith((_KEY, _LONG)):
        # Of a key that a person chose, the server tells by the path of the map.
        at = at.rpartition(".")[0]
    elif says == "Duplicate value":
        at = f"{at}[1]"
    return run_case(
        name=name, changes=changes, where=f"spec.trainer.{where}", says=says, at=at, reads=reads
    )


def _of_whole_run() -> Iterator[Case]:
    label = "the name of a run is a DNS label"
    for name in ("a.b", "a" * 64):
        yield run_case(
            name=f"name {name[:8]}",
            changes={"metadata.name": name},
            where="metadata.name",
            says=label,
        )
    yield run_case(
        name="no program",
        changes={"spec.training": ABSENT},
        where="spec.training",
        says="give spec.training, or spec.trainer.image or command",
    )
    yield run_case(
        name="an empty command is no program",
        changes={"spec.training": ABSENT, "spec.trainer.command": []},
        where="spec.training",
        says="give spec.training, or spec.trainer.image or command",
    )
    yield run_case(
        name="progress of a program that reports none",
        changes={
            "spec.training": ABSENT,
            "spec.trainer.image": "a",
            "spec.progressDeadlineSeconds": 60,
        },
        where="spec.progressDeadlineSeconds",
        says="another program reports no progress",
    )
    yield run_case(
        name="back-off that shrinks",
        changes={"spec.failurePolicy.backoff": {"baseSeconds": 60, "maxSeconds": 5}},
        where="spec.failurePolicy.backoff.maxSeconds",
        says="backoff.maxSeconds is at least backoff.baseSeconds",
    )
    yield run_case(
        name="back-off that shrinks below its default",
        changes={"spec.failurePolicy.backoff": {"baseSeconds": 601}},
        where="spec.failurePolicy.backoff.maxSeconds",
        says="backoff.maxSeconds is at least backoff.baseSeconds",
    )
    for field in ("gpuTypes", "regions", "clusters"):
        yield run_case(
            name=f"{field} twice",
            changes={f"spec.placement.{field}": ["a", "b", "a"]},
            where=f"spec.placement.{field}",
            says="each name stands once",
        )
    for limit, says, reads in AMOUNTS:
        yield run_case(
            name=f"limit {limit!r}",
            changes={"spec.budget.limitUSD": limit},
            where="spec.budget.limitUSD",
            says=says,
            reads=reads,
        )
    for price, says in (
        ("1000001", "at most 1000000 US dollars"),
        ("cheap", "a number of US dollars in quotes"),
    ):
        yield run_case(
            name=f"price {price} of an hour",
            changes={"spec.placement.maxHourlyPriceUSD": price},
            where="spec.placement.maxHourlyPriceUSD",
            says=says,
        )
    kinds = {"persistentVolumeClaim": {"claimName": "a"}, "s3": {"bucket": "abc"}, "ephemeral": {}}
    for one, other in (
        ("persistentVolumeClaim", "s3"),
        ("s3", "ephemeral"),
        ("persistentVolumeClaim", "ephemeral"),
    ):
        yield run_case(
            name=f"storage {one} and {other}",
            changes={"spec.storage": {one: kinds[one], other: kinds[other]}},
            where=f"spec.storage.{other}",
            at="spec.storage",
            says="give one of persistentVolumeClaim, s3 and ephemeral",
        )
    yield run_case(
        name="two intervals of checkpoints",
        changes={"spec.checkpoints": {"everySteps": 1, "everyEpochs": 1}},
        where="spec.checkpoints.everyEpochs",
        says="keep one of everySteps and everyEpochs",
    )
    for other in ("everySteps", "everyEpochs"):
        yield run_case(
            name=f"{other} and a time between checkpoints",
            changes={"spec.checkpoints": {other: 1, "everySeconds": 60}},
            where="spec.checkpoints.everySeconds",
            says="keep everySeconds alone",
        )
    yield run_case(
        name="a pattern for our own trainer",
        changes={"spec.checkpoints": {"pattern": "checkpoint-*"}},
        where="spec.checkpoints.pattern",
        says="leave it out for our own trainer",
    )
    yield run_case(
        name="a pattern beside a bucket",
        changes={
            "spec.trainer.command": ["mine"],
            "spec.checkpoints": {"pattern": "checkpoint-*"},
            "spec.storage": {"s3": {"bucket": "abc"}},
        },
        where="spec.checkpoints.pattern",
        says="leave it out beside storage.s3",
    )
    for pattern in (
        "../*.pt", "a/../*.pt", "/runs/*", "*", "ckpt/*", "?*", ".hidden-*", "a//b-*", "a/", "ckpt-[0-9]", "*/model-*",
    ):  # fmt: skip
        yield run_case(
            name=f"pattern {pattern}",
            changes={"spec.trainer.command": ["mine"], "spec.checkpoints": {"pattern": pattern}},
            where="spec.checkpoints.pattern",
            says="spec.checkpoints.pattern in body should match",
        )
    yield run_case(
        name="a field that does not exist",
        changes={"spec.budget.limit": "20.00"},
        where="spec.budget.limit",
        says='unknown field "spec.budget.limit"',
    )
    yield run_case(
        name="text for a number",
        changes={"spec.activeDeadlineSeconds": "60"},
        where="spec.activeDeadlineSeconds",
        says="must be of type integer",
    )
    yield run_case(
        name="too many regions",
        changes={"spec.placement.regions": [f"r{number}" for number in range(65)]},
        where="spec.placement.regions",
        says="must have at most 64 items",
    )


def _of_trainer() -> Iterator[Case]:
    for name in OPERATOR_VARIABLES:
        yield _trainer(
            f"variable {name}",
            "env",
            [{"name": name, "value": "1"}],
            "env[0].name",
            "the operator sets this variable itself",
        )
    key = {"secretKeyRef": {"name": "s", "key": "k"}}
    yield _trainer(
        "a variable with two values",
        "env",
        [{"name": "A", "value": "1", "valueFrom": key}],
        "env[0].value",
        "keep one of value and valueFrom",
    )
    yield _trainer(
        "a variable twice", "env", [{"name": "A"}, {"name": "A"}], "env", "Duplicate value"
    )
    yield _trainer("a variable's name", "env", [{"name": "9"}], "env[0].name", "should match")
    bad_secret = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "S_", "key": "k"}}}]
    yield _trainer(
        "a Secret's name", "env", bad_secret, "env[0].valueFrom.secretKeyRef.name", "should match"
    )
    bad_key = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a/b"}}}]
    yield _trainer(
        "a Secret's key", "env", bad_key, "env[0].valueFrom.secretKeyRef.key", "should match"
    )
    yield _trainer(
        "a service account of one's own",
        "serviceAccountName",
        "admin",
        "serviceAccountName",
        'unknown field "spec.trainer.serviceAccountName"',
    )
    for word, says, reads in LABEL_KEYS:
        name, where = f"key {word[:16]} of a node selector", f"nodeSelector.{word}"
        yield _trainer(name, "nodeSelector", {word: "x"}, where, says, reads)
    for value, says, reads in LABEL_VALUES:
        label = f"value {str(value)[:16]!r} of a node selector"
        yield _trainer(label, "nodeSelector", {"zone": value}, "nodeSelector.zone", says, reads)
    yield _trainer(
        "a quantity", "resourcesPerNode", {"limits": {"cpu": "two"}}, "resourcesPerNode.limits.cpu", "should match"
    )  # fmt: skip
    for side in ("requests", "limits"):
        for word, says in (("c p u", _KEY), ("c" * 129, f"{_LONG} 128")):
            resources, where = {side: {word: "2"}}, f"resourcesPerNode.{side}.{word}"
            yield _trainer(f"{side} of {word[:8]}", "resourcesPerNode", resources, where, says)
    yield _trainer("pull policy", "imagePullPolicy", "Often", "imagePullPolicy", 'Unsupported value: "Often"')  # fmt: skip
    yield _trainer(
        "pull secret twice", "imagePullSecrets", [{"name": "a"}, {"name": "a"}], "imagePullSecrets", "Duplicate value"
    )  # fmt: skip
    yield _trainer("pull secret's name", "imagePullSecrets", [{"name": "A"}], "imagePullSecrets[0].name", "should match")  # fmt: skip
    yield from _of_tolerations()
    yield from _of_volumes()


def _of_tolerations() -> Iterator[Case]:
    for bad in TOLERATIONS:
        name, where = f"toleration: {bad.name}", f"tolerations[0].{bad.field}"
        yield _trainer(name, "tolerations", [bad.document], where, bad.says, bad.reads)


def _of_volumes() -> Iterator[Case]:
    folders = (*TAKEN_FOLDERS, "/var", "/var/run", "/run", "/runs/mine", "/dev/a")
    for folder in folders:
        yield _trainer(
            f"volume at {folder}",
            "volumes",
            [a_volume(mountPath=folder)],
            "volumes[0].mountPath",
            "a folder that neither holds nor lies in",
        )
    for path in ("data", "/", "/a/../b", "/..", "/a/", "/a//b", "/a:b", "/a b", ""):
        yield _trainer(
            f"volume at {path!r}",
            "volumes",
            [a_volume(mountPath=path)],
            "volumes[0].mountPath",
            "should match",
        )
    yield _trainer(
        "two volumes at one folder",
        "volumes",
        [a_volume(), a_volume(name="other")],
        "volumes",
        "each mountPath stands once",
    )
    yield _trainer(
        "two volumes of one name",
        "volumes",
        [a_volume(), a_volume(mountPath="/other")],
        "volumes",
        "Duplicate value",
    )
    yield _trainer(
        "name of a volume", "volumes", [a_volume(name="a.b")], "volumes[0].name", "should match"
    )
    yield _trainer(
        "name of a claim",
        "volumes",
        [a_volume(claimName="A")],
        "volumes[0].claimName",
        "should match",
    )


REFUSED = (*_of_whole_run(), *_of_trainer(), *refused_trainings())
"""One document for each rule and for each new kind of bound."""
