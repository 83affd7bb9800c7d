"""Whoever may write a run may do no more by it than a pod without any rights may."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings

from lightcompute.api.training_run import TrainingRun
from lightcompute.kube.reading import read_run
from lightcompute.testing.builders import RunBuilder
from runcontract.faults import ConfigurationFault
from support.kube_builders import NAMESPACE
from support.pod_security import violations
from support.rendered_runs import (
    SETTINGS,
    START,
    UID,
    any_run,
    manifests_in_own_cluster,
    rendered,
    with_trainer,
)

POD_KEYS = {
    "restartPolicy",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "terminationGracePeriodSeconds",
    "securityContext",
    "nodeSelector",
    "tolerations",
    "containers",
    "initContainers",
    "volumes",
    "imagePullSecrets",
    "subdomain",
}
CONTAINER_KEYS = {
    "name",
    "image",
    "imagePullPolicy",
    "restartPolicy",
    "command",
    "args",
    "env",
    "ports",
    "resources",
    "securityContext",
    "terminationMessagePolicy",
    "volumeMounts",
}


@given(run=any_run())
def test_every_pod_meets_the_restricted_standard(run: RunBuilder) -> None:
    assert violations(rendered(run).job["spec"]["template"]) == ()


@settings(max_examples=40)
@given(run=any_run())
def test_a_run_chooses_values_in_a_pod_and_never_its_shape(run: RunBuilder) -> None:
    spec = rendered(run).job["spec"]["template"]["spec"]
    assert set(spec) <= POD_KEYS
    assert spec["automountServiceAccountToken"] is False
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        assert set(container) <= CONTAINER_KEYS
        assert "add" not in container["securityContext"]["capabilities"]
    kinds = {key for volume in spec["volumes"] for key in volume if key != "name"}
    assert kinds <= {"emptyDir", "configMap", "persistentVolumeClaim", "downwardAPI", "secret"}


@settings(max_examples=40)
@given(run=any_run())
def test_a_run_sees_no_secret_but_as_a_variable_that_it_names(run: RunBuilder) -> None:
    asked = {
        each["valueFrom"]["secretKeyRef"]["name"]
        for each in run.spec.get("trainer", {}).get("env", ())
        if "valueFrom" in each
    }
    spec = rendered(run).job["spec"]["template"]["spec"]
    text = json.dumps(spec["containers"] + spec["volumes"])
    assert ("secretKeyRef" in text) == bool(asked)
    assert '"secret":' not in text
    assert "secret" not in json.dumps(spec.get("initContainers", [])).lower()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("securityContext", {"privileged": True}),
        ("privileged", True),
        ("hostNetwork", True),
        ("hostPID", True),
        ("serviceAccountName", "admin"),
        ("automountServiceAccountToken", True),
        ("runtimeClassName", "other"),
        ("priorityClassName", "system-node-critical"),
        ("initContainers", [{"name": "a", "image": "b"}]),
        ("podTemplate", {"spec": {"hostNetwork": True}}),
        ("volumes", [{"name": "a", "hostPath": {"path": "/"}, "mountPath": "/data"}]),
        ("volumes", [{"name": "a", "claimName": "b", "mountPath": "/dev/sda"}]),
        ("volumes", [{"name": "a", "claimName": "b", "mountPath": "/var/run"}]),
        ("volumes", [{"name": "a", "claimName": "b", "mountPath": "/data/../runs"}]),
        ("volumes", [{"name": "a", "claimName": "b", "mountPath": "/", "subPath": "../"}]),
        ("env", [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]),
        ("env", [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}]),
        ("resourcesPerNode", {"claims": [{"name": "a"}]}),
    ],
)
def test_what_would_give_rights_is_refused_and_leaves_no_trace(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationFault, match=f"spec.trainer.{field}"):
        with_trainer(**{field: value}).build()
    document = {
        "metadata": {"name": "baseline", "namespace": NAMESPACE, "uid": UID},
        "spec": with_trainer(**{field: value}).spec,
    }
    read = read_run(document)
    assert read.faults
    clean = {"metadata": document["metadata"], "spec": with_trainer().spec}
    template = _template(read_run(document).run)
    assert template == _template(read_run(clean).run)
    assert violations(template) == ()


def _template(run: TrainingRun) -> Any:
    return manifests_in_own_cluster(run, START, SETTINGS).job["spec"]["template"]


def _broken(path: str, value: Any) -> dict[str, Any]:
    template: dict[str, Any] = copy.deepcopy(rendered(with_trainer()).job["spec"]["template"])
    place: Any = template
    *folders, key = path.split(".")
    for folder in folders:
        place = place[int(folder)] if folder.isdigit() else place.setdefault(folder, {})
    if value is None:
        del place[key]
    else:
        place[key] = value
    return template


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.hostNetwork", True),
        ("spec.hostPID", True),
        ("spec.hostIPC", True),
        ("spec.securityContext.runAsNonRoot", None),
        ("spec.securityContext.runAsUser", 0),
        ("spec.securityContext.seccompProfile", None),
        ("spec.securityContext.seccompProfile.type", "Unconfined"),
        ("spec.securityContext.appArmorProfile", {"type": "Unconfined"}),
        ("spec.securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
        ("spec.securityContext.windowsOptions", {"hostProcess": True}),
        ("spec.securityContext.seLinuxOptions", {"type": "spc_t"}),
        ("spec.volumes", [{"name": "runs", "hostPath": {"path": "/"}}]),
        ("spec.volumes", [{"name": "runs", "nfs": {"server": "a", "path": "/"}}]),
        ("spec.containers.0.securityContext", None),
        ("spec.containers.0.securityContext.privileged", True),
        ("spec.containers.0.securityContext.allowPrivilegeEscalation", None),
        ("spec.containers.0.securityContext.runAsNonRoot", False),
        ("spec.containers.0.securityContext.runAsUser", 0),
        ("spec.containers.0.securityContext.procMount", "Unmasked"),
        ("spec.containers.0.securityContext.capabilities", None),
        ("spec.containers.0.securityContext.capabilities.drop", ["KILL"]),
        ("spec.containers.0.securityContext.capabilities.add", ["SYS_ADMIN"]),
        ("spec.containers.0.securityContext.seccompProfile", {"type": "Unconfined"}),
        ("spec.initContainers.0.securityContext", None),
        ("spec.initContainers.0.ports", [{"containerPort": 1, "hostPort": 1}]),
        ("spec.containers.0.livenessProbe", {"httpGet": {"port": 1, "host": "10.0.0.1"}}),
        ("spec.containers.0.lifecycle", {"preStop": {"tcpSocket": {"port": 1, "host": "a"}}}),
        (
            "metadata.annotations",
            {"container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"},
        ),
    ],
)
def test_the_checker_finds_what_the_standard_forbids(path: str, value: Any) -> None:
    assert violations(_broken(path, value)) != ()
