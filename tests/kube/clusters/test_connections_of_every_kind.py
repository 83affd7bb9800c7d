"""Real clusters behind what people's kubeconfigs have: programs that give tokens, proxies that know CONNECT, names and certificates that differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.connect_proxy import ConnectProxy
from support.fleets import Fleet, place_of
from support.testcluster.fleet import CLUSTERS, Pool, make_namespace, secret, training_cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Document = dict[str, Any]
AWAY = "us-iad1"
POOL = (Pool(gpu_type="A100-80GB", gpus_per_node=2),)
VERSION = "client.authentication.k8s.io/v1"


@pytest.fixture
def patience() -> dict[str, float]:
    return {"kube.exec_plugin.TIMEOUT_SECONDS": 2.0}


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    proxy = ConnectProxy.start("it:secret")
    yield proxy
    proxy.stop()


class Login:
    """A program that gives the token that it is told to, and counts how often it was asked."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._answer, self._calls = folder / "answer.sh", folder / "calls"
        self.file = folder / "login"
        self.file.write_text(
            f"#!/bin/sh\necho x >> {self._calls}\n. {self._answer}\n", encoding="utf-8"
        )
        self.file.chmod(0o755)

    @property
    def calls(self) -> int:
        return len(self._calls.read_text().splitlines()) if self._calls.exists() else 0

    def gives(self, token: str, *, seconds: float | None = None) -> None:
        """From now on it gives `token`, which expires so many seconds after this."""
        status = {"token": token}
        if seconds is not None:
            status["expirationTimestamp"] = (
                datetime.now(UTC) + timedelta(seconds=seconds)
            ).isoformat()
        answer = {"apiVersion": VERSION, "kind": "ExecCredential", "status": status}
        self.does(f"cat <<'END'\n{json.dumps(answer)}\nEND")

    def does(self, script: str) -> None:
        """From now on it does this."""
        fresh = self._answer.with_suffix(".new")
        fresh.write_text(script + "\n", encoding="utf-8")
        fresh.replace(self._answer)


def changed(
    fleet: Fleet, *, cluster: Document | None = None, user: Document | None = None
) -> bytes:
    """The kubeconfig of the cluster with other parts; one that is None is taken out."""
    document = yaml.safe_load(fleet.plane(AWAY).kubeconfig.read_text(encoding="utf-8"))
    entry = document["clusters"][0]["cluster"]
    entry.update(cluster or {})
    document["clusters"][0]["cluster"] = {k: v for k, v in entry.items() if v is not None}
    if user is not None:
        document["users"][0]["user"] = user
    return yaml.safe_dump(document).encode()


def joined(fleet: Fleet, kubeconfig: bytes) -> None:
    make_namespace(fleet.plane(AWAY))
    secrets = f"/api/v1/namespaces/{fleet.space.namespace}/secrets"
    fleet.api.post(secrets, secret(AWAY, kubeconfig))
    fleet.api.post(CLUSTERS, training_cluster(AWAY, POOL))


def renewed(fleet: Fleet, kubeconfig: bytes) -> None:
    secrets = f"/api/v1/namespaces/{fleet.space.namespace}/secrets"
    fleet.api.patch(f"{secrets}/{AWAY}", secret(AWAY, kubeconfig))


def refused(fleet: Fleet, reason: str) -> str:
    """What the condition says, once it is so."""
    return str(fleet.condition(AWAY, "Reachable", "False", reason, seconds=60)["message"])


def test_a_program_gives_tokens_again_and_again_and_what_it_does_else_is_told(
    fleet: Fleet, tmp_path: Path
) -> None:
    login, token = Login(tmp_path / "login"), fleet.plane(AWAY).access.token
    login.gives(token, seconds=3600)
    program = {"command": str(login.file), "apiVersion": VERSION}
    joined(fleet, changed(fleet, user={"exec": program}))
    assert "--allow-exec-plugins" in refused(fleet, "ExecRefused")
    assert login.calls == 0
    fleet.space.operator.kill()
    fleet.space.bury(fleet.space.operator)
    login.gives(token, seconds=9)
    fleet.space.start_operator("--allow-exec-plugins").wait_ready()
    fleet.reachable(AWAY)
    began = login.calls
    # It was asked once, and is asked again before what it gave is over.
    login.gives(token, seconds=3600)
    fleet.space.watch.until(lambda: login.calls > began, lambda: "asked once", 20)
    end = fleet.submit("by-program", {"RUN_SECONDS": 1}).in_phase("Succeeded", seconds=60)
    assert place_of(end) == AWAY
    calls = login.calls
    assert calls <= began + 1
    # Of another Secret it is told at once; of a program that fails to renew what holds, see the tests of credentials.
    login.does("echo the login server is away >&2; exit 4")
    renewed(fleet, changed(fleet, user={"exec": program | {"args": ["other"]}}))
    told = refused(fleet, "ExecFailed")
    assert "ended with 4: the login server is away" in told
    login.does("sleep 600")
    fleet.api.eventually(
        f"{CLUSTERS}/{AWAY}",
        lambda found: any(
            "gave nothing within 2 s" in each["message"] for each in found["status"]["conditions"]
        ),
        seconds=60,
    )
    # What the server refuses is asked for again, though it says of no end.
    login.gives("nobody-knows-this")
    assert "Unauthorized" in refused(fleet, "CredentialsRefused")
    login.gives(token)
    fleet.reachable(AWAY)
    assert fleet.space.errors == []


def test_a_cluster_behind_a_proxy_is_used_and_told_when_the_proxy_refuses(
    fleet: Fleet, proxy: ConnectProxy
) -> None:
    at = {"proxy-url": proxy.url, "tls-server-name": "kubernetes.default.svc"}
    joined(fleet, changed(fleet, cluster=at))
    fleet.reachable(AWAY)
    end = fleet.submit("behind", {"RUN_SECONDS": 1}).in_phase("Succeeded", seconds=60)
    assert place_of(end) == AWAY
    server = fleet.plane(AWAY).access.server.removeprefix("https://")
    assert set(proxy.asked) == {server}
    assert proxy.refused == 0
    stranger = proxy.url.replace("it:secret@", "")
    renewed(fleet, changed(fleet, cluster={"proxy-url": stranger}))
    assert "407" in refused(fleet, "NoAnswer")
    assert proxy.refused > 0
    renewed(fleet, changed(fleet, cluster={"proxy-url": "http://127.0.0.1:1"}))
    told = fleet.api.eventually(
        f"{CLUSTERS}/{AWAY}",
        lambda found: any(
            "127.0.0.1:1 " in each["message"] for each in found["status"]["conditions"]
        ),
        seconds=60,
    )
    assert told
    renewed(fleet, changed(fleet))
    fleet.reachable(AWAY)
    assert fleet.space.errors == []


def test_names_and_certificates_are_checked_as_the_kubeconfig_says(fleet: Fleet) -> None:
    joined(fleet, changed(fleet, cluster={"tls-server-name": "somewhere.else"}))
    assert "certificate" in refused(fleet, "CertificateInvalid")
    renewed(fleet, changed(fleet, cluster={"certificate-authority-data": None}))
    assert "certificate" in refused(fleet, "CertificateInvalid")
    skips = {"insecure-skip-tls-verify": True, "certificate-authority-data": None}
    renewed(fleet, changed(fleet, cluster=skips))
    fleet.reachable(AWAY)
    renewed(fleet, changed(fleet, user={"username": "it", "password": "unknown"}))
    # This server has no passwords: whoever comes with one is nobody to it.
    assert "system:anonymous" in refused(fleet, "RightsMissing")
    assert fleet.space.errors == []
