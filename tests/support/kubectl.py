"""kubectl, as a person uses it: what it prints, and the tables in it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from runcontract.base import API_VERSION
from support.testcluster.cluster import Cluster

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is not installed"
)


def kubectl(cluster: Cluster, *arguments: str, succeeds: bool = True) -> str:
    """What it prints; on its error output where it is to fail."""
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode == 0) == succeeds, done.stderr
    return done.stdout if succeeds else done.stderr


def explained(cluster: Cluster, kind: str, path: str) -> str:
    """What `kubectl explain` says, in one line, once the server describes `kind`: it does so some time after it serves it."""
    cluster.api.eventually(f"/openapi/v3/apis/{API_VERSION}", lambda found: kind in str(found))
    return " ".join(kubectl(cluster, "explain", path).split())


def table(text: str) -> list[dict[str, str]]:
    """The rows of kubectl's table, each by the words of its head."""
    head, *rows = text.splitlines()
    starts = [index for index in range(len(head)) if head[index] != " " and (index == 0 or head[index - 1] == " ")]  # fmt: skip
    ends = [*starts[1:], None]
    return [
        {head[start:end].strip(): row[start:end].strip() for start, end in zip(starts, ends, strict=True)}
        for row in rows
    ]  # fmt: skip
