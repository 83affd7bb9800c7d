"""The processes of a control plane: what they find when they start, where each says that it is ready, and their start and end together."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from support.testcluster import flags
from support.testcluster.binaries import CONTROL_PLANE, KWOK, MODULES, binary
from support.testcluster.flags import Layout
from support.testcluster.processes import Component, Endpoint, free_ports

START_SECONDS = 90


def new_layout(folder: Path, host: str) -> Layout:
    """A place in `folder`, with free ports."""
    folder.mkdir(parents=True, exist_ok=True)
    etcd, peer, apiserver, manager, scheduler, kwok, kubelet = free_ports(7)
    return Layout(
        folder=folder,
        host=host,
        etcd_port=etcd,
        etcd_peer_port=peer,
        apiserver_port=apiserver,
        manager_port=manager,
        scheduler_port=scheduler,
        kwok_port=kwok,
        kubelet_port=kubelet,
    )


def prepare(at: Layout, users: Mapping[str, str]) -> dict[str, str]:
    """Writes what the API server reads when it starts; gives the token of each user."""
    key = subprocess.run(
        [binary(CONTROL_PLANE), "key"], capture_output=True, check=True, timeout=START_SECONDS
    ).stdout
    at.service_account_key.touch(mode=0o600)
    at.service_account_key.write_bytes(key)
    tokens = {user: secrets.token_hex(16) for user in users}
    lines = (f'{tokens[user]},{user},{user},"{group}"' for user, group in users.items())
    at.tokens.touch(mode=0o600)
    at.tokens.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (at.folder / "audit-policy.yaml").write_text(flags.AUDIT_POLICY, encoding="utf-8")
    return tokens


def make_components(
    at: Layout,
    commands: Mapping[str, tuple[str, ...]],
    tokens: Mapping[str, str],
    *,
    kwok: bool,
    within: tuple[str, ...],
) -> dict[str, Component]:
    """All of a control plane, none of them started; `commands` say how, and `within` is a command that runs them elsewhere."""
    endpoint = partial(Endpoint, host=at.host)
    ready = {
        "etcd": endpoint(port=at.etcd_port, path="/health", secure=False),
        "kube-apiserver": endpoint(port=at.apiserver_port, path="/readyz", token=tokens["admin"]),
        "kube-controller-manager": endpoint(port=at.manager_port, path="/healthz"),
        "kube-scheduler": endpoint(port=at.scheduler_port, path="/readyz"),
    }
    program = str(binary(CONTROL_PLANE))
    made = {
        name: Component(name, (*within, program, *command), log=at.log(name), ready=ready[name])
        for name, command in commands.items()
    }
    if kwok:
        stages = tuple(sorted((MODULES / "stages").glob("*.yaml")))
        made["kwok"] = Component(
            "kwok",
            (str(binary(KWOK)), *flags.kwok(at, stages)),
            log=at.log("kwok"),
            ready=Endpoint(port=at.kwok_port, path="/healthz", secure=False),
        )
    return made


def start(components: Mapping[str, Component], names: tuple[str, ...]) -> None:
    """Starts some of them together and waits until they are ready."""
    for name in names:
        components[name].start()
    for name in names:
        components[name].wait_ready(START_SECONDS)


def kill(components: Mapping[str, Component]) -> None:
    """Ends all of them."""
    for component in components.values():
        component.kill()
