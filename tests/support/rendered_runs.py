"""Runs as a cluster has them, any that the reader takes, and the children that they are rendered to."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from lightcompute.api.training_run import TrainingRun
from lightcompute.core.decision import StartAttempt
from lightcompute.kube.manifests import Manifests, manifests_of
from lightcompute.kube.pools import Home, pool_of_settings
from lightcompute.kube.settings import OperatorSettings, PoolSettings
from lightcompute.kube.settings import Toleration as PoolToleration
from lightcompute.testing.builders import RunBuilder, a_place, a_run
from runcontract.faults import ConfigurationFault
from support.kube_builders import NAMESPACE

Document = dict[str, Any]
UID = "0f0e0d0c-1111-4222-8333-444455556666"
SETTINGS = OperatorSettings(
    pool=PoolSettings(
        cluster="ord",
        node_selector={"pool": "gpu", "zone": "a"},
        tolerations=(PoolToleration(key="nvidia.com/gpu"),),
    ),
    trainer_image="registry.example/trainer:1",
)
START = StartAttempt(
    attempt=1,
    place=a_place("A100-40GB"),
    deadline_seconds=3600,
    stop_after_seconds=3595,
    grace_seconds=30,
)


def in_cluster(run: RunBuilder, name: str = "baseline") -> RunBuilder:
    """`run` with the identity that a server gives."""
    return run.with_metadata(name=name, namespace=NAMESPACE, uid=UID)


def with_trainer(**settings: Any) -> RunBuilder:
    """A run of our trainer with these settings of spec.trainer."""
    return in_cluster(a_run().with_spec(trainer=settings))


def rendered(
    run: RunBuilder, *, start: StartAttempt = START, settings: OperatorSettings = SETTINGS
) -> Manifests:
    """The children of an attempt of `run`."""
    return manifests_in_own_cluster(run.build(), start, settings)


def manifests_in_own_cluster(
    run: TrainingRun, start: StartAttempt, settings: OperatorSettings
) -> Manifests:
    """The children of an attempt beside its run, on the nodes that the operator's options name."""
    pool = pool_of_settings(settings.pool)
    return manifests_of(run, start, settings, pool=pool, home=Home())


def pod_of(run: RunBuilder, **parts: Any) -> Document:
    """The spec of its pods."""
    spec: Document = rendered(run, **parts).job["spec"]["template"]["spec"]
    return spec


def trainer_of(run: RunBuilder, **parts: Any) -> Document:
    """The container that trains."""
    [container] = pod_of(run, **parts)["containers"]
    return dict(container)


def sidecar_of(run: RunBuilder, **parts: Any) -> Document:
    """The container of TensorBoard."""
    [container] = pod_of(run, **parts)["initContainers"]
    return dict(container)


TEXTS = st.sampled_from(
    (
        "",
        "0",
        "true",
        "a b",
        "../..",
        "$(HOME)",
        "privileged: true",
        '"}]',
        "hostPath:\n  path: /",
        "ä",
    )
)
KEYS = st.sampled_from(("zone", "example.com/disk", "hostNetwork", "serviceAccountName", "a" * 63))
VALUES = st.sampled_from(("", "a", "true", "v" * 63))
NAMES = st.sampled_from(("texts", "root", "a.b", "x" * 40))
QUANTITIES = st.sampled_from(("0", "1", "500m", "8Gi", "2.5", "64"))
RESOURCES = st.dictionaries(
    st.sampled_from(("cpu", "memory", "nvidia.com/gpu", "hugepages-2Mi")), QUANTITIES, max_size=3
)
VARIABLES = st.one_of(
    st.builds(
        lambda name, value: {"name": name, "value": value},
        st.sampled_from(("A", "PATH", "LD_PRELOAD", "GLOBAL_SEED", "HOME", "_x")),
        TEXTS,
    ),
    st.builds(
        lambda name, key: {"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": key}}},
        st.sampled_from(("TOKEN", "A")),
        st.sampled_from(("k", "a_B.c-d")),
    ),
)
TOLERATIONS = st.fixed_dictionaries(
    {"operator": st.just("Exists")},
    optional={
        "key": KEYS,
        "effect": st.sampled_from(("NoSchedule", "PreferNoSchedule", "NoExecute")),
    },
)
VOLUMES = st.fixed_dictionaries(
    {
        "name": st.sampled_from(("runs", "tmp", "order", "shm", "texts")),
        "claimName": NAMES,
        "mountPath": st.sampled_from(("/data", "/etc", "/root", "/var/lib/kubelet", "/data/x")),
    },
    optional={"readOnly": st.booleans()},
)
TRAINERS = st.fixed_dictionaries(
    {},
    optional={
        "image": st.sampled_from(("a", "registry.example/mine:2", "x@sha256:" + "0" * 64)),
        "command": st.lists(TEXTS, max_size=3),
        "args": st.lists(TEXTS, max_size=3),
        "env": st.lists(VARIABLES, max_size=3, unique_by=lambda each: each["name"]),
        "numNodes": st.sampled_from((1, 2, 1024)),
        "numProcPerNode": st.sampled_from((1, 2, 64)),
        "resourcesPerNode": st.fixed_dictionaries(
            {}, optional={"requests": RESOURCES, "limits": RESOURCES}
        ),
        "nodeSelector": st.dictionaries(KEYS, VALUES, max_size=3),
        "tolerations": st.lists(TOLERATIONS, max_size=3),
        "imagePullSecrets": st.lists(st.fixed_dictionaries({"name": NAMES}), max_size=1),
        "imagePullPolicy": st.sampled_from(("Always", "IfNotPresent", "Never")),
        "volumes": st.lists(VOLUMES, max_size=2, unique_by=lambda each: each["name"]),
    },
)
STORAGES = st.sampled_from(
    (
        {},
        {"ephemeral": {}},
        {"ephemeral": {"sizeLimit": "1Gi"}},
        {"persistentVolumeClaim": {"claimName": "runs"}},
    )
)


@st.composite
def any_run(draw: st.DrawFn) -> RunBuilder:
    """Any run that the reader takes."""
    run = a_run().with_spec(
        trainer=draw(TRAINERS),
        storage=draw(STORAGES),
        tensorboard={"enabled": draw(st.booleans())},
    )
    if draw(st.booleans()):
        run = RunBuilder(spec={key: run.spec[key] for key in run.spec if key != "training"})
    name = draw(st.sampled_from(("a", "9", "baseline", "x" * 63, "9" * 63, "a" + "-" * 61 + "b")))
    run = in_cluster(run, name)
    try:
        run.build()
    except ConfigurationFault:
        return in_cluster(a_run(), name)
    return run
