"""Curves that a pod serves, in name only, and `lightcompute tensorboard` as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from typing import Any

from lightcompute.api import labels
from support.testcluster.api import Api

Document = dict[str, Any]


def pod_of(api: Api, namespace: str, run: Document, node: str, *, sidecar: bool = True) -> str:
    """The pod of the run's first attempt, running on the node; its path."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    image = {"image": "lightcompute-trainer"}
    beside = [{"name": "tensorboard", "restartPolicy": "Always", **image}] if sidecar else []
    marks = {
        labels.RUN_UID: run["metadata"]["uid"],
        labels.ATTEMPT: "1",
        labels.PURPOSE: "trainer",
    }
    pod = {
        "metadata": {"name": "baseline-1", "labels": marks},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "initContainers": beside,
            "containers": [{"name": "trainer", **image}],
        },
    }
    api.post(pods, pod)
    state = {
        "name": "trainer",
        "state": {"running": {}},
        "ready": True,
        "restartCount": 0,
        "imageID": "",
        **image,
    }
    status = {"phase": "Running", "containerStatuses": [state]}
    api.patch(f"{pods}/baseline-1/status", {"status": status})
    return f"{pods}/baseline-1"


class Serving:
    """The command as a process."""

    def __init__(self, *options: object) -> None:
        options = (*options, "--port", "0")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lightcompute", "tensorboard", "baseline", *map(str, options)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("TensorBoard: http://127.0.0.1:"), self.end()
        self.address = line.split()[1]

    def get(self) -> bytes:
        with urllib.request.urlopen(self.address, timeout=20) as answer:  # noqa: S310 - the command's own address
            return bytes(answer.read())

    def end(self) -> tuple[int, str, str]:
        """After Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        said, warned = self.process.communicate(timeout=30)
        return self.process.returncode, said, warned

    def kill(self) -> None:
        """If it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
