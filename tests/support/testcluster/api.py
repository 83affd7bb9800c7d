"""A small synchronous client of an API server, for tests: paths as on the wire, documents as dicts, one kept connection a thread.

It repeats nothing and hides nothing, so a test sees what the server said. The product has its own client.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

from support.testcluster.kubeconfig import Access

Document = dict[str, Any]
_PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_LOOK_SECONDS = 0.05


class ApiFault(Exception):
    """The server refused."""

    def __init__(self, status: int, body: Document, request: str):
        self.status = status
        self.body = body
        self.reason: str = body.get("reason", "")
        self.message: str = body.get("message", "")
        super().__init__(f"{request}: {status} {self.reason}: {self.message}")


class Api:
    """One API server as one user."""

    def __init__(self, access: Access, *, timeout_seconds: float = 30):
        parts = urlsplit(access.server)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port
        self._plain = parts.scheme == "http"
        self._headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
        self._timeout = timeout_seconds
        self._context = None if self._plain else tls_context(access)
        self._own = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    def get(self, path: str, **query: object) -> Document:
        """Reads an object or a list."""
        return self._document("GET", path, query)

    def post(self, path: str, body: Document, **query: object) -> Document:
        """Creates an object."""
        return self._document("POST", path, query, body)

    def put(self, path: str, body: Document, **query: object) -> Document:
        """Replaces an object."""
        return self._document("PUT", path, query, body)

    def patch(self, path: str, body: object, *, kind: str = "merge", **query: object) -> Document:
        """Changes an object; `kind` is merge, strategic, json or apply."""
        return self._document("PATCH", path, query, body, _PATCHES[kind])

    def delete(self, path: str, body: Document | None = None, **query: object) -> Document:
        """Deletes an object, or those of a list."""
        return self._document("DELETE", path, query, body)

    def text(self, path: str, **query: object) -> str:
        """An answer that is no document, such as a log."""
        return self._send("GET", path, query, None, "").decode(errors="replace")

    def find(self, path: str, **query: object) -> Document | None:
        """An object, or None where there is none of that name."""
        try:
            return self.get(path, **query)
        except ApiFault as fault:
            if fault.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise

    def eventually(
        self, path: str, holds: Callable[[Document], object], *, seconds: float = 30
    ) -> Document:
        """The object once `holds` says so of it; fails the test, telling what it is, when that does not come.

        A server that is taken away meanwhile, or is not ready for a kind that was made just now, is asked again.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                found = self.find(path)
            except (OSError, http.client.HTTPException):
                found = None
            except ApiFault as fault:
                if fault.status != http.HTTPStatus.TOO_MANY_REQUESTS:
                    raise
                found = None
            if found is not None and holds(found):
                return found
            assert time.monotonic() < end, f"{path} never came to be so: {_shown(found)}"
            time.sleep(_LOOK_SECONDS)

    def gone(self, path: str, *, seconds: float = 30) -> None:
        """Waits until there is no such object."""
        end = time.monotonic() + seconds
        while (found := self.find(path)) is not None:
            assert time.monotonic() < end, f"{path} is still there: {_shown(found)}"
            time.sleep(_LOOK_SECONDS)

    def apply_crd(self, file: Path, *, seconds: float = 30) -> None:
        """Creates or replaces the custom resource definition in `file` and waits until it is served."""
        crd = yaml.safe_load(file.read_text(encoding="utf-8"))
        path = f"{_CRDS}/{crd['metadata']['name']}"
        there = self.find(path)
        if there is None:
            self.post(_CRDS, crd)
        else:
            version = there["metadata"]["resourceVersion"]
            self.put(path, {**crd, "metadata": {**crd["metadata"], "resourceVersion": version}})
        self.eventually(path, _is_established, seconds=seconds)

    def close(self) -> None:
        """Closes the connections of all threads."""
        for connection in self._open:
            connection.close()

    def _document(
        self,
        method: str,
        path: str,
        query: dict[str, object],
        body: object = None,
        content_type: str = "application/json",
    ) -> Document:
        answer = self._send(method, path, query, body, content_type)
        return dict(json.loads(answer)) if answer else {}

    def _send(
        self, method: str, path: str, query: dict[str, object], body: object, content_type: str
    ) -> bytes:
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {**self._headers, "Accept": "application/json, */*"}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        status, answer = self._exchange(method, target, content, headers)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiFault(status, _status(answer), f"{method} {target}")
        return answer

    def _exchange(
        self, method: str, target: str, content: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            connection.request(method, target, body=content, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            if self._context is None:
                connection = http.client.HTTPConnection(
                    self._host, self._port, timeout=self._timeout
                )
            else:
                connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout, context=self._context
                )
            self._own.connection = connection
            self._open.append(connection)
        # A kept connection that the server has closed meanwhile is readable: it says nothing about the next request.
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
        return connection


def tls_context(access: Access) -> ssl.SSLContext:
    """Trusts the cluster's authority, and shows the client certificate where there is one."""
    context = ssl.create_default_context(cafile=access.ca_file)
    if access.client_certificate is not None:
        context.load_cert_chain(access.client_certificate, access.client_key)
    return context


def _status(answer: bytes) -> Document:
    try:
        found = json.loads(answer)
    except ValueError:
        return {"message": answer.decode(errors="replace").strip()}
    return found if isinstance(found, dict) else {"message": str(found)}


def _is_established(crd: Document) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _shown(found: Document | None) -> str:
    return "there is none" if found is None else json.dumps(found.get("status", found))[:2000]
