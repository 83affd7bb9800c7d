"""Everything that the runs, Jobs and pods of some namespaces were, as the API server tells it: nothing between two looks is missed.

It looks past any proxy, so what an operator is made to believe is not what is recorded. What it means is judged by `run_audit`.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from support.run_audit import Change, Kind
from support.testcluster.api import tls_context
from support.testcluster.cluster import Cluster

Document = dict[str, Any]
_PATHS = {
    Kind.RUN: "/apis/lightcompute.dev/v1alpha1/namespaces/{}/trainingruns",
    Kind.JOB: "/apis/batch/v1/namespaces/{}/jobs",
    Kind.POD: "/api/v1/namespaces/{}/pods",
}
_CLUSTERS = "/apis/lightcompute.dev/v1alpha1/trainingclusters"
_WATCH_SECONDS = 600
_AGAIN_SECONDS = 0.2
_LOOK_SECONDS = 0.1
_END_SECONDS = 10


class RunWatch:
    """Records from its start until `stop`. `until` waits without asking the server anything.

    With `clusters` the TrainingClusters are recorded too, which are in no namespace.
    """

    def __init__(
        self, cluster: Cluster, namespaces: Iterable[str], *, clusters: bool = False
    ) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._changes: list[Change] = []
        self._now: dict[tuple[Kind, str], Document] = {}
        """What there is, by kind and UID."""
        self._open: dict[str, http.client.HTTPConnection] = {}
        self._ended = False
        self._gaps: list[str] = []
        places = [(kind, path.format(name)) for name in namespaces for kind, path in _PATHS.items()]
        if clusters:
            places.append((Kind.CLUSTER, _CLUSTERS))
        self._threads = [
            threading.Thread(target=self._follow, args=place, daemon=True) for place in places
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Records nothing more."""
        self._ended = True
        for connection in tuple(self._open.values()):
            _cut(connection)
        for thread in self._threads:
            thread.join(_END_SECONDS)
        for connection in self._open.values():
            connection.close()

    @property
    def changes(self) -> tuple[Change, ...]:
        """All that changed until now, in the order of the server. Fails where something may be missing."""
        with self._lock:
            assert not self._gaps, f"the record has gaps: {self._gaps}"
            return tuple(sorted(self._changes, key=lambda change: change.version))

    def all(self, kind: Kind) -> tuple[Document, ...]:
        """What there is of `kind`."""
        with self._lock:
            return tuple(document for (of, _), document in self._now.items() if of is kind)

    def find(self, kind: Kind, uid: str) -> Document | None:
        """One of them; None when it is gone."""
        with self._lock:
            return self._now.get((kind, uid))

    def until(self, found: Callable[[], Any], what: Callable[[], str], seconds: float) -> Any:
        """What `found` returns once that is true; `what` says what there is where it does not come."""
        end = time.monotonic() + seconds
        while not (value := found()):
            assert time.monotonic() < end, f"not within {seconds:.0f} s: {what()}"
            time.sleep(_LOOK_SECONDS)
        return value

    def _follow(self, kind: Kind, path: str) -> None:
        version = ""
        while not self._ended:
            with suppress(OSError, http.client.HTTPException):
                if not version:
                    version = self._list(kind, path)
                version = self._watch(kind, path, version)
            time.sleep(_AGAIN_SECONDS)

    def _list(self, kind: Kind, path: str) -> str:
        found: Document = json.loads(self._asked(path, {}).read())
        there = {document["metadata"]["uid"] for document in found["items"]}
        for document in self.all(kind):
            if document["metadata"]["uid"] not in there and self._is_at(path, document):
                self._take(kind, "DELETED", document)
        for document in found["items"]:
            self._take(kind, "ADDED", document)
        return str(found["metadata"]["resourceVersion"])

    def _watch(self, kind: Kind, path: str, version: str) -> str:
        """Records until the server ends the watch, and gives where it was."""
        query = {"watch": 1, "resourceVersion": version, "timeoutSeconds": _WATCH_SECONDS}
        answer = self._asked(path, query)
        with suppress(OSError, http.client.HTTPException, ValueError):
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    # A server that was started anew knows nothing of what was before.
                    self._gaps.append(f"{path}: {event['object'].get('message')}")
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                self._take(kind, event["type"], event["object"])
        return version

    def _asked(self, path: str, query: dict[str, object]) -> http.client.HTTPResponse:
        parts = urlsplit(self._cluster.server)
        connection = http.client.HTTPSConnection(
            str(parts.hostname),
            parts.port,
            timeout=_WATCH_SECONDS,
            context=tls_context(self._cluster.access),
        )
        if (before := self._open.get(path)) is not None:
            before.close()
        self._open[path] = connection
        headers = {"Authorization": f"Bearer {self._cluster.token}"} if self._cluster.token else {}
        connection.request("GET", f"{path}?{urlencode(query)}", headers=headers)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise http.client.HTTPException(f"{path}: {answer.status}")
        return answer

    def _take(self, kind: Kind, type_: str, document: Document) -> None:
        metadata = document["metadata"]
        gone = type_ == "DELETED"
        change = Change(
            version=int(metadata["resourceVersion"]),
            kind=kind,
            gone=gone,
            document=document,
            heard_at=time.monotonic(),
        )
        with self._lock:
            self._changes.append(change)
            if gone:
                self._now.pop((kind, metadata["uid"]), None)
            else:
                self._now[kind, metadata["uid"]] = document

    def _is_at(self, path: str, document: Document) -> bool:
        namespace = document["metadata"].get("namespace")
        return namespace is None or f"/namespaces/{namespace}/" in path


def _cut(connection: http.client.HTTPConnection) -> None:
    """Wakes whoever reads from it."""
    with suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(2)
