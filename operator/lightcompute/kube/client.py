"""One cluster's API server: requests in, JSON out, every failure one of two kinds of fault. One pool of connections, one rate limit.

Configuration, TLS and credentials are the official client's. Its generated models are not used: documents are read where they
come in (`observed`) and built where they go out (`manifests`), and objects of a model would cost memory a thousand times over.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.faults import NotFound, fault_of
from lightcompute.kube.rate import TokenBucket
from lightcompute.kube.spared import Spared
from runcontract.faults import ConfigurationFault, Fault

Document = dict[str, Any]
Query = Iterable[tuple[str, str | int]]
Heard = Callable[[str, str, int, float], None]
"""Told of each answer: method, path, status code (0 for none), seconds."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_TIMEOUT_SECONDS = 30
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_SKEW_NOTICED = timedelta(seconds=2)


async def configuration_from(kubeconfig: Path | None, context: str | None = None) -> Configuration:
    """Where the server is and who we are: from `kubeconfig`, else KUBECONFIG, the usual file, or the pod's service account.

    Raises ConfigurationFault when none of them says.
    """
    configuration = Configuration()
    given = kubeconfig or os.environ.get("KUBECONFIG")
    in_a_pod = os.path.exists(_SERVICE_ACCOUNT)  # noqa: ASYNC240, PTH110 - once, before anything else runs
    try:
        if given is None and context is None and in_a_pod:
            load_incluster_config(client_configuration=configuration)
        else:
            file = None if given is None else str(given)
            await load_kube_config(
                config_file=file, context=context, client_configuration=configuration
            )
    except (ConfigException, OSError) as error:
        where = str(given or "~/.kube/config")
        raise ConfigurationFault(
            Fault(
                where=f"kubeconfig {where}",
                found=str(error),
                expected="a file that names a cluster, a user and a context",
                action="Give --kubeconfig or set KUBECONFIG.",
            )
        ) from error
    return configuration


class ClusterClient:
    """Asks one API server. `now` is its clock, as far as its answers tell it."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        requests_per_second: float = 500,
        burst: int = 1000,
        heard: Heard | None = None,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._configuration = configuration
        self._api = _api_of(configuration)
        self._timeout_seconds = timeout_seconds
        self._bucket = TokenBucket(per_second=requests_per_second, burst=burst)
        self._heard = heard
        self._skew = timedelta()
        self._spared = Spared()
        self._streams: set[aiohttp.StreamReader] = set()
        """What is being read now."""
        self.guard: Callable[[], None] | None = None
        """Asked before each write; raises TemporaryFault where we may not write now (the Lease is not certainly ours)."""

    @classmethod
    async def connect(
        cls, kubeconfig: Path | None = None, context: str | None = None, **settings: Any
    ) -> Self:
        """A client for what `configuration_from` finds."""
        return cls(await configuration_from(kubeconfig, context), **settings)

    async def close(self) -> None:
        """Ends all connections."""
        await self._api.close()

    async def use(self, configuration: Configuration) -> None:
        """From now on asks as `configuration` says: the same server with other credentials. What is under way is cut off."""
        before = self._api
        self._api = _api_of(configuration)
        self._configuration = configuration
        # The end of a session tells whoever reads from it nothing that can be relied on: over TLS they would go on waiting.
        for content in self._streams:
            content.set_exception(aiohttp.ClientConnectionError("other credentials are used now"))
        await before.close()

    @property
    def server(self) -> str:
        """Address of the API server."""
        return str(self._configuration.host)

    def now(self) -> datetime:
        """The time by the server's clock: ours, moved by what its answers say, where that is more than their rounding."""
        return datetime.now(UTC) + self._skew

    async def get(self, path: str, query: Query = (), *, accept: str = JSON) -> Document:
        """The object or list at `path`."""
        return await self._json("GET", path, query, accept=accept)

    async def create(self, path: str, body: Document) -> Document:
        """Creates `body` in the collection at `path`. Raises AlreadyExists."""
        return await self._json("POST", path, body=body)

    async def replace(self, path: str, body: Document) -> Document:
        """Replaces the object at `path`; with a resourceVersion in `body` only if it is still that version (Conflict)."""
        return await self._json("PUT", path, body=body)

    async def patch(self, path: str, body: Document) -> Document:
        """Merges `body` into the object at `path`; a resourceVersion in it is checked as in `replace`."""
        return await self._json("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def delete(
        self,
        path: str,
        *,
        uid: str | None = None,
        grace_seconds: int | None = None,
        propagation: str = "Background",
    ) -> None:
        """Deletes the object at `path`, if it is still the one with `uid` (Conflict). What does not exist is deleted."""
        body: Document = {"propagationPolicy": propagation}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        await self._json("DELETE", path, body=body, missing_is_fine=True)

    async def read(self, path: str, query: Query = (), *, limit_bytes: int) -> bytes:
        """The first `limit_bytes` of a text, such as a log."""
        async with self.stream(path, query, idle_seconds=self._timeout_seconds) as content:
            pieces: list[bytes] = []
            left = limit_bytes
            while left > 0 and (piece := await content.read(min(left, 1 << 16))):
                pieces.append(piece)
                left -= len(piece)
            return b"".join(pieces)

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), *, idle_seconds: float
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of an answer that may go on for ever; silence for `idle_seconds` is a TemporaryFault."""
        bounds = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=idle_seconds)
        response = await self._send("GET", path, query, bounds=bounds)
        try:
            if response.status >= 300:
                raise self._fault(response, await response.read(), "GET", path)
            self._streams.add(response.content)
            yield response.content
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _no_answer(f"GET {path}", error) from error
        finally:
            self._streams.discard(response.content)
            response.close()

    async def _json(
        self,
        method: str,
        path: str,
        query: Query = (),
        *,
        body: Document | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        missing_is_fine: bool = False,
    ) -> Document:
        bounds = aiohttp.ClientTimeout(total=self._timeout_seconds)
        response = await self._send(
            method,
            path,
            query,
            body=body,
            content_type=content_type,
            accept=accept,
            bounds=bounds,
        )
        asked = f"{method} {path}"
        try:
            raw = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _no_answer(asked, error) from error
        if response.status >= 300:
            fault = self._fault(response, raw, method, path)
            if missing_is_fine and isinstance(fault, NotFound):
                return {}
            raise fault
        return _parsed(raw, asked)

    def _fault(
        self, response: aiohttp.ClientResponse, raw: bytes, method: str, path: str
    ) -> TemporaryFault | PermanentFault:
        fault = fault_of(response.status, raw, response.headers, asked=f"{method} {path}")
        self._spared.note(method, path, fault)
        return fault

    async def _send(
        self,
        method: str,
        path: str,
        query: Query,
        *,
        bounds: aiohttp.ClientTimeout,
        body: Document | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> aiohttp.ClientResponse:
        self._spared.check(method, path)
        await self._bucket.take()
        if self.guard is not None and method != "GET":
            self.guard()
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": "lightcompute"}
        settings = cast("dict[str, dict[str, str]]", await self._configuration.auth_settings())
        for setting in settings.values():
            headers[setting["key"]] = setting["value"]
        parameters = urlencode(tuple(query))
        url = f"{self._configuration.host}{path}{'?' if parameters else ''}{parameters}"
        began = time.monotonic()
        try:
            answer = await self._api.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=bounds
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._tell(method, path, 0, began)
            raise _no_answer(f"{method} {path}", error) from error
        response: aiohttp.ClientResponse = answer.response
        self._tell(method, path, response.status, began)
        self._set_clock(response.headers)
        return response

    def _tell(self, method: str, path: str, code: int, began: float) -> None:
        if self._heard is not None:
            self._heard(method, path, code, time.monotonic() - began)

    def _set_clock(self, headers: Mapping[str, str]) -> None:
        try:
            told = parsedate_to_datetime(headers["Date"])
        except (KeyError, ValueError):
            return
        skew = told - datetime.now(UTC)
        # The header has whole seconds, so a difference of one says nothing.
        if abs(skew - self._skew) >= _SKEW_NOTICED:
            self._skew = skew if abs(skew) >= _SKEW_NOTICED else timedelta()


def _api_of(configuration: Configuration) -> ApiClient:
    # The default of 100 connections is more than one event loop can keep busy, and each costs memory.
    configuration.connection_pool_maxsize = 64
    # aiohttp would ask two threads at each request, one of which reads a file: which proxy there is does not change.
    configuration.client_session_kwargs = {"trust_env": False}
    configuration.proxy = configuration.proxy or _proxy_of(str(configuration.host))
    return ApiClient(configuration)


def _proxy_of(server: str) -> str | None:
    """The proxy that the environment names for `server`."""
    parts = urlsplit(server)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def _parsed(raw: bytes, asked: str) -> Document:
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise TemporaryFault(f"{asked} was answered with something that is no JSON") from error
    if not isinstance(document, dict):
        raise TemporaryFault(f"{asked} was answered with something that is no object")
    return document


def _no_answer(asked: str, error: Exception) -> TemporaryFault:
    return TemporaryFault(f"{asked} was not answered: {str(error) or type(error).__name__}")
