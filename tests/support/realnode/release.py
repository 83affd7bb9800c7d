"""The operator as a user has it: installed by Helm, from its image, with its own account and no other rights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import yaml

from support.realnode.commands import helm
from support.realnode.images import ours
from support.realnode.images.ours import Image
from support.realnode.rig import GPU_TYPE, LABELS, Rig
from support.source import CHECKOUT
from support.testcluster.api import Document

CHART = CHECKOUT / "charts" / "lightcompute"
NAME = "lightcompute"
NAMESPACE = "lightcompute-system"
POD_LABELS = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component=operator"
RATE_USD_PER_HOUR = 3.6
"""A thousandth of a dollar a second: what a run cost in seconds is read off its dollars."""
GRACE_SECONDS = 15
_READY_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Release:
    """The release, and the images of this checkout."""

    rig: Rig
    operator_image: Image
    trainer_image: Image

    @property
    def account(self) -> str:
        """As whom the operator acts, as the API server names it."""
        return f"system:serviceaccount:{NAMESPACE}:{NAME}"

    def install(self) -> str:
        """Installs it, or installs it anew; waits until it is ready, and gives what helm said."""
        return self._helm("install", "--create-namespace")

    def upgrade(self, **values: object) -> str:
        """Installs it with other values over itself."""
        return self._helm("upgrade", *(f"--set={name}={value}" for name, value in values.items()))

    def uninstall(self) -> str:
        """Takes it away."""
        return helm(self.rig, "uninstall", NAME, "--namespace", NAMESPACE, "--wait")

    def test(self) -> str:
        """What a person asks after installing it."""
        return helm(self.rig, "test", NAME, "--namespace", NAMESPACE)

    def scale(self, replicas: int) -> None:
        """Has so many operators, and waits until it is so."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"
        self.rig.api.patch(path, {"spec": {"replicas": replicas}})
        if replicas:
            self.rig.api.eventually(path, _is_available, seconds=_READY_SECONDS)
            return
        self.wait_for_none()

    def wait_for_none(self) -> None:
        """Until no operator is there."""
        for pod in self.pods():
            self.rig.api.gone(
                f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}", seconds=60
            )

    def pods(self) -> tuple[Document, ...]:
        """Its pods."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        return tuple(self.rig.api.get(path, labelSelector=POD_LABELS)["items"])

    def log(self) -> str:
        """What its pods say."""
        return "\n".join(
            self.rig.api.text(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/log")
            for pod in self.pods()
        )

    def _helm(self, verb: str, *more: str) -> str:
        values = self.rig.folder / "values.yaml"
        values.write_text(yaml.safe_dump(self._values()), encoding="utf-8")
        return helm(
            self.rig, verb, NAME, str(CHART), "--namespace", NAMESPACE, "--values", str(values),
            "--wait", f"--timeout={_READY_SECONDS}s", *more,
        )  # fmt: skip

    def _values(self) -> Document:
        return {
            "image": {"repository": self.operator_image.repository, "tag": self.operator_image.tag},
            "trainerImage": {
                "repository": self.trainer_image.repository,
                "tag": self.trainer_image.tag,
                "pullPolicy": "IfNotPresent",
            },
            "operator": {"graceSeconds": GRACE_SECONDS},
            "pool": {
                "clusterName": "us-ord1",
                "region": "US-ORD1",
                "gpuType": GPU_TYPE,
                "nodeSelector": LABELS,
                "pricePerGPUHourUSD": str(RATE_USD_PER_HOUR),
            },
        }


def prepared(rig: Rig) -> Release:
    """The images of this checkout in the rig, and a release that is not installed yet."""
    release = Release(rig=rig, operator_image=ours.operator(), trainer_image=ours.trainer())
    for image in (release.operator_image, release.trainer_image):
        rig.store.load(image.name, partial(ours.archive, image))
    return release


def _is_available(deployment: Document) -> bool:
    wanted, status = deployment["spec"]["replicas"], deployment.get("status", {})
    is_current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(is_current and status.get("availableReplicas", 0) == wanted)
