"""Programs that give credentials (`exec` in a kubeconfig): run with bounds on their time and their output, as kubectl runs them.

The official client's own way waits without end, forgets when a credential expires, and goes on as nobody where the program failed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field, ValidationError

from runcontract.base import ReportModel

TIMEOUT_SECONDS = 15.0
"""So long a program may take; then it is killed, with all that it started."""
LARGEST_BYTES = 1 << 18
"""More than this it may not print: certificates are a few thousand bytes."""
_VERSION = Literal["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]
_EXTENSION = "client.authentication.k8s.io/exec"
_TOLD_OF_CLUSTER = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority-data",
    "proxy-url",
)


class ProgramFault(Exception):
    """No credentials came of the program, and why."""


class _Variable(ReportModel):
    name: str
    value: str


class Program(ReportModel):
    """What `exec` of a kubeconfig says."""

    api_version: _VERSION
    command: str = Field(min_length=1)
    args: tuple[str, ...] | None = None
    env: tuple[_Variable, ...] | None = None
    provide_cluster_info: bool = False
    interactive_mode: Literal["Never", "IfAvailable"] = "IfAvailable"
    """`Always` is refused: nobody is there to be asked."""
    install_hint: str | None = None


class _Status(ReportModel):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: AwareDatetime | None = None


class _Answer(ReportModel):
    api_version: str
    kind: Literal["ExecCredential"]
    status: _Status


@dataclass(frozen=True, kw_only=True)
class ExecCredential:
    """What a program gave: a token, or a certificate with its key, as PEM."""

    token: str | None
    certificate: str | None
    key: str | None
    expires_time: datetime | None
    """None where it holds until the server refuses it."""


def program_of(document: object) -> Program:
    """The program that `exec` of a kubeconfig names. Raises ValueError."""
    try:
        program = Program.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"exec{where and '.'}{where}: {first['msg']}") from error
    if "/" in program.command and not program.command.startswith("/"):
        raise ValueError(
            f"exec.command {program.command} is a path beside a file, and a Secret is no folder: give a name or a whole path"
        )
    return program


def holds_line_break(token: str | None) -> bool:
    """Whether `token` has a sign in it that no header can have."""
    return any(ord(character) < 32 for character in token or "")


async def credential_from(
    program: Program, cluster: Mapping[str, Any], now: datetime
) -> ExecCredential:
    """Runs `program` for the credentials at `cluster`, which is that part of the kubeconfig. Raises ProgramFault."""
    status = _read(program, await _output(program, cluster))
    if status.expiration_timestamp is not None and status.expiration_timestamp <= now:
        raise ProgramFault(f"{program.command} gave credentials that are expired already")
    return ExecCredential(
        token=status.token,
        certificate=status.client_certificate_data,
        key=status.client_key_data,
        expires_time=status.expiration_timestamp,
    )


def _read(program: Program, output: bytes) -> _Status:
    try:
        answer = _Answer.model_validate_json(output)
    except ValidationError as error:
        # Never what it printed: there may be a token in it.
        where = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
        told = f"{program.command} printed no ExecCredential"
        raise ProgramFault(f"{told}: look at {where}" if where else told) from None
    if answer.api_version != program.api_version:
        raise ProgramFault(
            f"{program.command} answered in {answer.api_version}, and {program.api_version} was asked for"
        )
    status = answer.status
    has_both = status.client_certificate_data and status.client_key_data
    if (status.client_certificate_data or status.client_key_data) and not has_both:
        raise ProgramFault(f"{program.command} gave a certificate or a key without the other")
    if holds_line_break(status.token):
        raise ProgramFault(f"{program.command} gave a token with a line break in it")
    if not status.token and not has_both:
        raise ProgramFault(f"{program.command} gave neither a token nor a certificate")
    return status


async def _output(program: Program, cluster: Mapping[str, Any]) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            program.command,
            *(program.args or ()),
            env=_environment(program, cluster),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,  # a group of its own, so that all of it can be ended
        )
    except (OSError, ValueError) as error:
        hint = f"; {program.install_hint}" if program.install_hint else ""
        raise ProgramFault(f"{program.command} cannot be run: {error}{hint}"[:600]) from error
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            output, words, code = await asyncio.gather(
                _bounded(process.stdout, process), _bounded(process.stderr, process), process.wait()
            )
    except TimeoutError as error:
        raise ProgramFault(
            f"{program.command} gave nothing within {TIMEOUT_SECONDS:g} s and was killed"
        ) from error
    finally:
        await _ended(process)
    if max(len(output), len(words)) > LARGEST_BYTES:
        raise ProgramFault(f"{program.command} printed more than {LARGEST_BYTES >> 10} KiB")
    if code != 0:
        said = " ".join(words.decode("utf-8", "replace").split())[-300:]
        raise ProgramFault(f"{program.command} ended with {code}: {said or 'it said nothing'}")
    return output


async def _bounded(stream: asyncio.StreamReader | None, process: Process) -> bytes:
    """What comes out of `stream`, and little more than may: who prints too much is killed."""
    assert stream is not None, "both are pipes"
    pieces = bytearray()
    while piece := await stream.read(1 << 16):
        if len(pieces) <= LARGEST_BYTES:
            pieces += piece
        else:
            _kill(process)
    return bytes(pieces)


async def _ended(process: Process) -> None:
    """Nothing of it is left: no process, and no pipe that somebody may still write to."""
    _kill(process)
    for stream in (process.stdout, process.stderr):
        assert stream is not None, "both are pipes"
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while await stream.read(1 << 16):
                    pass
    await process.wait()


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(program: Program, cluster: Mapping[str, Any]) -> dict[str, str]:
    spec: dict[str, Any] = {"interactive": False}
    if program.provide_cluster_info:
        spec["cluster"] = {key: cluster[key] for key in _TOLD_OF_CLUSTER if key in cluster}
        for extension in cluster.get("extensions") or ():
            if extension.get("name") == _EXTENSION:
                spec["cluster"]["config"] = extension.get("extension")
    told = {"apiVersion": program.api_version, "kind": "ExecCredential", "spec": spec}
    given = {each.name: each.value for each in program.env or ()}
    return {**os.environ, **given, "KUBERNETES_EXEC_INFO": json.dumps(told)}
