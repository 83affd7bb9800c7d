"""TrainingClusters that break one rule or bound each."""

from __future__ import annotations

from collections.abc import Iterator

from support.cases import ABSENT, Case, Document
from support.cluster_documents import OWN, a_pool, cluster_case
from support.refused_parts import AMOUNTS, LABEL_KEYS, LABEL_VALUES, LABELS, TOLERATIONS, Part

_REQUIRED = Part(ABSENT, "Required value", "this field is required")
_WORDS = (
    _REQUIRED,
    Part("", "at least 1 char", "at least 1 character"),
    Part("A100 80GB", "should match", "should match"),
    Part("-a", "should match", "should match"),
    Part("a" * 64, "may not be more than 63", "at most 63 characters"),
    Part(40, "must be of type string", "valid string"),
)
"""Of a region or a type."""
_ONE_WAY = "one of inCluster: true and kubeconfigSecret"


def _case(name: str, changes: Document, where: str, part: Part, *, at: str = "") -> Case:
    return cluster_case(
        name=name, changes=changes, where=where, says=part.says, reads=part.reads, at=at
    )


def _field(path: str, part: Part, *, where: str = "", at: str = "") -> Case:
    """One field changed; it is told of by its own path unless `where` or `at` say another one."""
    value = "none" if part.value is ABSENT else repr(part.value)
    name = f"{path} {value if len(value) < 40 else f'{value[:20]}... of {len(value)}'}"
    return _case(name, {path: part.value}, where or path, part, at=at)


def _pool(field: str, part: Part) -> Case:
    return _field(f"spec.nodePools.0.{field}", part, where=f"spec.nodePools[0].{field}")


def _unknown(path: str, where: str = "") -> Case:
    where = where or path
    part = Part("x", f'unknown field "{where}"', "no such field. Check its spelling and place.")
    return _field(path, part, where=where)


def _of_whole_cluster() -> Iterator[Case]:
    label = "the name of a cluster is a DNS label"
    for name in ("a.b", "a" * 64):
        yield _field("metadata.name", Part(name, label, "should match"))
    yield _field("metadata.name", Part("US_IAD1", "a lowercase RFC 1123 subdomain", "should match"))
    yield _field("spec", _REQUIRED)
    yield _unknown("spec.nodePool")
    for part in _WORDS:
        yield _field("spec.region", part)
    for part in LABELS:
        yield _field("spec.namespace", part)
        yield _field(
            "spec.allowedNamespaces",
            Part(["team-a", part.value], part.says, part.reads),
            where="spec.allowedNamespaces[1]",
        )
    yield _field(
        "spec.allowedNamespaces",
        Part([f"n{each}" for each in range(257)], "must have at most 256 items", "at most 256 items"),
    )  # fmt: skip


def _of_connection() -> Iterator[Case]:
    way = Part(None, f"give {_ONE_WAY}", _ONE_WAY)
    secret, where = "spec.connection.kubeconfigSecret", "spec.connection.kubeconfigSecret"
    yield _field("spec.connection", _REQUIRED)
    yield _case("no way", {"spec.connection": {}}, where, way)
    yield _case("no way, in words", {"spec.connection": {"inCluster": False}}, where, way)
    no_way = {"spec.connection": {}, "spec.namespace": ABSENT}
    yield _case("no way and no namespace", no_way, where, way)
    yield _case("two ways", {"spec.connection.inCluster": True}, where, way)
    no_namespace = {"spec.connection.inCluster": True, "spec.namespace": ABSENT}
    yield _case("two ways and no namespace", no_namespace, where, way)
    yield _case(
        "a context of no kubeconfig",
        {**OWN, "spec.connection.context": "it"},
        "spec.connection.context",
        Part(None, "leave context out with inCluster: true", "nothing with inCluster: true"),
    )
    yield _field("spec.connection.context", Part("", "at least 1 char", "at least 1 character"))
    yield _field("spec.connection.context", Part("c" * 254, "more than 253", "at most 253"))
    yield _field("spec.connection.inCluster", Part("yes", "must be of type boolean", "boolean"))
    yield _unknown("spec.connection.kubeconfig")
    yield _field(f"{secret}.name", _REQUIRED)
    for bad, says, reads in (
        ("S_", "should match", "should match"),
        ("", "at least 1 char", "at least 1 character"),
        ("a" * 254, "may not be more than 253", "at most 253"),
    ):
        yield _field(f"{secret}.name", Part(bad, says, reads))
    for bad, says, reads in (
        ("a/b", "should match", "should match"),
        ("", "at least 1 char", "at least 1 character"),
        ("a" * 254, "may not be more than 253", "at most 253"),
    ):
        yield _field(f"{secret}.key", Part(bad, says, reads))
    space = "the namespace of that cluster which runs go to"
    yield _field("spec.namespace", Part(ABSENT, f"give {space}", space))
    yield _case(
        "a namespace of the operator's own cluster",
        {"spec.connection": {"inCluster": True}},
        "spec.namespace",
        Part(
            None,
            "leave namespace out with inCluster: true: runs stay in their own namespace",
            "nothing with inCluster: true: runs stay in their own namespace",
        ),
    )


def _of_pools() -> Iterator[Case]:
    pools = "spec.nodePools"
    many = [a_pool(name=f"p{number}") for number in range(33)]
    yield _field(pools, _REQUIRED)
    yield _field(pools, Part([], "should have at least 1 items", "at least 1 item"))
    yield _field(pools, Part(many, "must have at most 32 items", "at most 32 items"))
    yield _case(
        "two pools of one name",
        {pools: [a_pool(), a_pool(name="b"), a_pool(gpuType="L40S")]},
        pools,
        Part(None, "Duplicate value", "each name once"),
        at=f"{pools}[2]",
    )
    yield _unknown(f"{pools}.0.pricePerHourUSD", f"{pools}[0].pricePerHourUSD")
    for part in (_REQUIRED, *LABELS):
        yield _pool("name", part)
    for part in _WORDS:
        yield _pool("gpuType", part)
    for field, least, most in (("gpusPerNode", 1, 64), ("maxNodes", 0, 10_000)):
        low, high = f"greater than or equal to {least}", f"less than or equal to {most}"
        for few in sorted({-1, least - 1}):
            yield _pool(field, Part(few, low, low))
        yield _pool(field, Part(most + 1, high, high))
        yield _pool(field, Part("8", "must be of type integer", "valid integer"))
        yield _pool(field, Part(1.5, "must be of type integer", "valid integer"))
    yield _pool("gpusPerNode", _REQUIRED)
    for part in (_REQUIRED, *AMOUNTS):
        yield _pool("pricePerGPUHourUSD", part)
    yield _pool("spot", Part("no", "must be of type boolean", "boolean"))
    for bad in ("-", "nvidia.com/", "/gpu", "a/b/c", "NVIDIA.com/gpu", "nvidia.com/g pu"):
        yield _pool("gpuResource", Part(bad, "should match", "should match"))
    yield _pool("gpuResource", Part("", "at least 1 char", "at least 1 character"))
    yield _pool("gpuResource", Part("a" * 254, "more than 253", "at most 253"))
    yield from _of_nodes()


def _of_nodes() -> Iterator[Case]:
    selector, reached = "spec.nodePools.0.nodeSelector", "spec.nodePools[0].nodeSelector"
    for key, says, reads in LABEL_KEYS:
        # Of a key that a person chose, the server tells by the path of the map.
        part, where = Part({key: "x"}, says, reads), f"{reached}.{key}"
        yield _field(selector, part, where=where, at=reached)
    for value, says, reads in LABEL_VALUES:
        yield _field(selector, Part({"zone": value}, says, reads), where=f"{reached}.zone")
    wide = {f"key-{number}": "x" for number in range(17)}
    yield _field(selector, Part(wide, "have at most 16", "at most 16 items"), where=reached)
    tolerations, told = "spec.nodePools.0.tolerations", "spec.nodePools[0].tolerations"
    for bad in TOLERATIONS:
        part, where = Part(None, bad.says, bad.reads), f"{told}[0].{bad.field}"
        yield _case(f"toleration: {bad.name}", {tolerations: [bad.document]}, where, part)
    every = [{"operator": "Exists"} for _ in range(17)]
    yield _field(tolerations, Part(every, "at most 16 items", "at most 16 items"), where=told)


REFUSED_CLUSTERS = (*_of_whole_cluster(), *_of_connection(), *_of_pools())
"""One document for each rule and for each bound."""
