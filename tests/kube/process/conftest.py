"""Operators in processes of their own, on a real API server with simulated nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.operators import OperatorProcess, options_for
from support.testcluster.api import Api
from support.testcluster.cluster import Cluster
from support.testcluster.fixtures import control_plane, fault_proxy, namespace

__all__ = ["control_plane", "fault_proxy", "namespace"]

RUNS = "/apis/lightcompute.dev/v1alpha1"


@pytest.fixture(scope="session")
def served(control_plane: Cluster, checkout: Path) -> Cluster:
    """The control plane, with our resources."""
    for file in sorted((checkout / "crds").glob("*.yaml")):
        control_plane.api.apply_crd(file)
    return control_plane


class TestNamespace:
    """A namespace with runs and the operators that look after it."""

    __test__ = False

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.name = name
        self.runs = f"{RUNS}/namespaces/{name}/trainingruns"
        self.lease = f"/apis/coordination.k8s.io/v1/namespaces/{name}/leases/lightcompute-operator"

    def submit(self, name: str, **spec: Any) -> dict[str, Any]:
        """Makes a run of a short training."""
        training = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100}
        body = {
            "apiVersion": "lightcompute.dev/v1alpha1",
            "kind": "TrainingRun",
            "metadata": {"name": name},
            "spec": {"training": training, **spec},
        }
        return self.api.post(self.runs, body)

    def wait_for_phase(self, name: str, *phases: str, seconds: float = 60) -> dict[str, Any]:
        """The run, once it is in one of the phases."""
        return self.api.eventually(
            f"{self.runs}/{name}",
            lambda run: run.get("status", {}).get("phase") in phases,
            seconds=seconds,
        )

    def holder(self) -> str:
        """Who the Lease names."""
        return str(self.api.get(self.lease)["spec"].get("holderIdentity") or "")


@pytest.fixture
def space(served: Cluster, namespace: str) -> TestNamespace:
    return TestNamespace(served.api, namespace)


Start = Callable[..., OperatorProcess]


@pytest.fixture
def start(served: Cluster, namespace: str, tmp_path: Path) -> Iterator[Start]:
    """Starts an operator for the namespace; `kubeconfig` is the cluster's own unless given."""
    with ExitStack() as stack:
        count = 0

        def started(
            *options: str, kubeconfig: Path | None = None, patience: dict[str, float] | None = None
        ) -> OperatorProcess:
            nonlocal count
            count += 1
            return stack.enter_context(
                OperatorProcess(
                    kubeconfig or served.kubeconfig,
                    tmp_path / f"operator-{count}.log",
                    *options_for(namespace),
                    *options,
                    patience=patience,
                )
            )

        yield started
