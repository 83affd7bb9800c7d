"""Programs named by `exec`: run as kubectl runs them, for a bounded time, again before what they gave expires, and never as nobody."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from lightcompute.api.reasons import Reason
from lightcompute.api.training_cluster import Connection
from lightcompute.kube import exec_plugin
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.credentials import Credentials, Found
from lightcompute.kube.exec_plugin import ProgramFault, credential_from, program_of
from lightcompute.kube.kubeconfig import Unusable
from lightcompute.kube.settings import OperatorSettings

Document = dict[str, Any]
VERSION = "client.authentication.k8s.io/v1"
Written = Callable[[str], Document]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Makes a program of a shell script; gives `exec` as a kubeconfig has it."""

    def write(script: str) -> Document:
        file = tmp_path / "login"
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
        return {"command": str(file), "apiVersion": VERSION}

    return write


def answer(**status: Any) -> str:
    return json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})


def printing(text: str) -> str:
    return f"cat <<'END'\n{text}\nEND"


def run(program: Document, cluster: Document | None = None) -> exec_plugin.ExecCredential:
    return asyncio.run(credential_from(program_of(program), cluster or {}, datetime.now(UTC)))


def test_a_token_and_a_certificate_are_taken(written: Written) -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    given = run(written(printing(answer(token="secret", expirationTimestamp=until.isoformat()))))
    assert (given.token, given.certificate, given.expires_time) == ("secret", None, until)
    pair = answer(clientCertificateData="-----BEGIN C", clientKeyData="-----BEGIN K")
    given = run(written(printing(pair)))
    assert (given.token, given.certificate, given.key) == (None, "-----BEGIN C", "-----BEGIN K")
    assert given.expires_time is None


@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param("echo cannot log in >&2; exit 3", "ended with 3: cannot log in", id="fails"),
        pytest.param("exit 3", "ended with 3: it said nothing", id="fails in silence"),
        pytest.param("echo secret-token", "printed no ExecCredential", id="no JSON"),
        pytest.param(printing('{"kind": "ExecCredential"}'), "look at apiVersion", id="no version"),
        pytest.param(printing(answer()), "neither a token nor a certificate", id="nothing given"),
        pytest.param(
            printing(answer(clientKeyData="x")), "without the other", id="half of a certificate"
        ),
        pytest.param(
            printing(answer(token="a\nb")), "a token with a line break", id="no header can have it"
        ),
        pytest.param(
            printing(answer(token="x", expirationTimestamp="2020-01-01T00:00:00Z")),
            "expired already",
            id="expired",
        ),
        pytest.param(
            printing(answer(token="x").replace("/v1", "/v1beta1")),
            "and client.authentication.k8s.io/v1 was asked for",
            id="another version",
        ),
        pytest.param("yes secret | head -c 400000", "more than 256 KiB", id="too much"),
        pytest.param("yes secret >&2", "more than 256 KiB", id="without end"),
    ],
)
def test_what_gives_no_credentials_says_why_and_what_it_printed_is_not_told(
    written: Written, script: str, told: str
) -> None:
    with pytest.raises(ProgramFault) as fault:
        run(written(script))
    assert told in str(fault.value)
    assert "secret" not in str(fault.value)


def test_one_that_is_not_there_is_told_with_the_hint_of_the_kubeconfig() -> None:
    program = {"command": "no-such-login", "apiVersion": VERSION, "installHint": "install it"}
    with pytest.raises(ProgramFault, match=r"cannot be run: .*; install it"):
        run(program)


@pytest.mark.parametrize("script", ["sleep 60", "sleep 60 & echo $! > $CHILD; sleep 60", "sleep 60 & echo $! > $CHILD"])  # fmt: skip
def test_one_that_hangs_is_killed_with_all_that_it_started(
    written: Written, script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_plugin, "TIMEOUT_SECONDS", 1.0)
    child = tmp_path / "child"
    program = written(script) | {"env": [{"name": "CHILD", "value": str(child)}]}
    began = time.monotonic()
    with pytest.raises(ProgramFault, match="gave nothing within 1 s and was killed"):
        run(program)
    assert time.monotonic() - began < 10
    if child.exists():
        assert _is_gone(int(child.read_text()))


def _is_gone(pid: int) -> bool:
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True  # killed, and not yet fetched by whoever adopted it
        time.sleep(0.1)
    return False


def test_it_is_told_of_the_cluster_where_it_asks_and_has_our_environment(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "kept")
    told = tmp_path / "told"
    script = f"""echo "$KUBERNETES_EXEC_INFO" > {told}; echo "$OURS $1 $GIVEN" >> {told}; cat >> {told}
{printing(answer(token="x"))}"""
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "it"}}
    cluster = {"server": "https://it", "extensions": [extension], "unknown": 1}
    program = written(script) | {"args": ["one"], "env": [{"name": "GIVEN", "value": "two"}]}
    run(program, cluster)
    info, words = told.read_text(encoding="utf-8").splitlines()
    assert json.loads(info)["spec"] == {"interactive": False}
    assert words == "kept one two"
    run(program | {"provideClusterInfo": True}, cluster)
    spec = json.loads(told.read_text(encoding="utf-8").splitlines()[0])["spec"]
    assert spec["cluster"] == {"server": "https://it", "config": {"audience": "it"}}


# ---- when it is run again -----------------------------------------------------------------------


class OurServer:
    """Stands where our own cluster would, and has one Secret."""

    def __init__(self, program: Document) -> None:
        self.kubeconfig = {
            "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "it", "user": {"exec": program}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }

    @property
    def client(self) -> OurServer:
        return self

    async def get(self, path: str, *_: Any) -> Any:
        data = base64.b64encode(yaml.safe_dump(self.kubeconfig).encode()).decode()
        return {"metadata": {"name": path}, "data": {"kubeconfig": data}}


def credentials_of(server: OurServer) -> Credentials:
    return Credentials(
        cast("Site", server),
        Connection.model_validate({"kubeconfigSecret": {"name": "it"}}),
        OperatorSettings(allow_exec_plugins=True),
    )


def expiring_in(seconds: float) -> str:
    until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    return printing(answer(token=f"at-{time.monotonic()}", expirationTimestamp=until))


def token_of(found: Found | None) -> str:
    assert found is not None
    return str(found.connection.configuration.api_key["BearerToken"])


def test_what_holds_is_not_asked_for_again_and_what_expires_is_before_it_does(
    written: Written, tmp_path: Path
) -> None:
    credentials = credentials_of(OurServer(written(expiring_in(600))))

    async def lives() -> None:
        first = await credentials.newer(tmp_path)
        assert first is not None
        assert 470 < first.renew_at - time.monotonic() < 481
        assert first.expires_at - first.renew_at == pytest.approx(120)
        credentials.taken(first)
        assert await credentials.newer(tmp_path) is None
        written(expiring_in(3))
        credentials.refused()
        short = await credentials.newer(tmp_path)
        assert short is not None
        assert 0 < short.renew_at - time.monotonic() < 2
        credentials.taken(short)
        assert await credentials.newer(tmp_path) is None
        await asyncio.sleep(max(0.0, short.renew_at - time.monotonic()))
        written(expiring_in(600))
        third = await credentials.newer(tmp_path)
        assert token_of(third) != token_of(short)
        assert time.monotonic() < short.expires_at

    asyncio.run(lives())


def test_a_renewal_that_fails_is_told_only_when_nothing_holds_any_more(
    written: Written, tmp_path: Path
) -> None:
    credentials = credentials_of(OurServer(written(expiring_in(3))))

    async def lives() -> None:
        found = await credentials.newer(tmp_path)
        assert found is not None
        credentials.taken(found)
        written("exit 1")
        await asyncio.sleep(max(0.0, found.renew_at - time.monotonic()))
        assert await credentials.newer(tmp_path) is None
        await asyncio.sleep(max(0.0, found.expires_at - time.monotonic()))
        with pytest.raises(Unusable, match="ended with 1") as told:
            await credentials.newer(tmp_path)
        assert told.value.reason is Reason.EXEC_FAILED

    asyncio.run(lives())


def test_what_holds_without_end_is_asked_for_again_when_it_is_refused(
    written: Written, tmp_path: Path
) -> None:
    credentials = credentials_of(OurServer(written(printing(answer(token="first")))))

    async def lives() -> None:
        first = await credentials.newer(tmp_path)
        assert token_of(first) == "Bearer first"
        assert first is not None
        credentials.taken(first)
        written(printing(answer(token="second")))
        assert await credentials.newer(tmp_path) is None
        credentials.refused()
        assert token_of(await credentials.newer(tmp_path)) == "Bearer second"

    asyncio.run(lives())


def test_no_program_is_left_when_whoever_waits_for_it_is_gone(
    written: Written, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"

    async def cancelled() -> None:
        program = program_of(written(f"echo $$ > {pid}; sleep 60"))
        asking = asyncio.create_task(credential_from(program, {}, datetime.now(UTC)))
        while not pid.exists() or not pid.read_text():  # noqa: ASYNC110 - a process is waited for
            await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(cancelled())
    assert _is_gone(int(pid.read_text()))
    assert os.getpid() != int(pid.read_text())
