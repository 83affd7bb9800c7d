"""A proxy in front of an API server that does to requests what networks and servers do, when a test says so.

Towards the client it is plain HTTP on the loopback address; tokens pass through. It lives in a thread of its own and is steered by method
calls, each of which has taken effect when it returns. Upgrades (exec, port-forward) do not pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from support.testcluster.cluster import Cluster
from support.testcluster.kubeconfig import Access, write_kubeconfig
from support.testcluster.loops import LoopThread
from support.testcluster.processes import free_ports
from support.testcluster.proxy_rules import WRITES, Fault, Ledger, Rule, Seen
from support.testcluster.proxy_server import ProxyServer


class FaultProxy:
    """In front of one cluster."""

    def __init__(self, cluster: Cluster, *, folder: Path):
        (self._port,) = free_ports(1)
        self._upstream = cluster.access
        self._ledger = Ledger()
        self._server = ProxyServer(port=self._port, upstream=cluster.access, ledger=self._ledger)
        self._loop = LoopThread("fault-proxy")
        self._loop.run(self._server.open())
        folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig = write_kubeconfig(
            folder / f"proxy-{self._port}.kubeconfig",
            Access(server=self.url, token=cluster.token),
            name=f"{cluster.name}-proxy",
        )

    @classmethod
    def start(cls, cluster: Cluster, *, folder: Path | None = None) -> Self:
        """Starts one; its kubeconfig is written to `folder`, by default the cluster's."""
        return cls(cluster, folder=folder or cluster.folder)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def access(self) -> Access:
        """How a client reaches it as the cluster's administrator."""
        return Access(server=self.url, token=self._upstream.token)

    def stop(self) -> None:
        """Ends it and every connection through it."""
        self._loop.run(self._server.close())
        self._loop.stop()

    # What befalls requests. `method` and `path` are searched for as regular expressions in the method and in the path with its query.

    def answer(
        self,
        status: int,
        *,
        method: str = "",
        path: str = "",
        times: int | None = 1,
        retry_after_seconds: int | None = None,
    ) -> Rule:
        """Such requests get this status and never reach the server."""
        return self._ledger.add(
            Rule(
                fault=Fault.ANSWER, status=status, method=method, path=path, times=times,
                retry_after_seconds=retry_after_seconds,
            )
        )  # fmt: skip

    def drop_request(self, *, method: str = "", path: str = "", times: int | None = 1) -> Rule:
        """The connection is reset before the server hears of it."""
        return self._ledger.add(
            Rule(fault=Fault.DROP_REQUEST, method=method, path=path, times=times)
        )

    def drop_response(self, *, method: str = "", path: str = "", times: int | None = 1) -> Rule:
        """The server carries it out; the connection is reset before the client hears of that."""
        return self._ledger.add(
            Rule(fault=Fault.DROP_RESPONSE, method=method, path=path, times=times)
        )

    def delay(
        self, seconds: float, *, method: str = "", path: str = "", times: int | None = 1
    ) -> Rule:
        """It reaches the server later, even when the client has given up meanwhile."""
        return self._ledger.add(
            Rule(fault=Fault.DELAY, method=method, path=path, times=times, delay_seconds=seconds)
        )

    def clear(self) -> None:
        """Drops all rules."""
        self._ledger.clear()

    # What befalls streams and the whole connection.

    def cut_watches(self, path: str = "") -> int:
        """Resets the watches whose path contains `path`; gives how many."""
        return self._loop.run(self._server.for_watches(path, self._server.cut))

    def inject(self, event: int | dict[str, Any], path: str = "") -> int:
        """Puts an event into such watches. A number stands for the ERROR event of that status, after which the stream ends."""
        return self._loop.run(
            self._server.for_watches(path, lambda stream: self._server.inject(stream, event))
        )

    def go_dark(self, *, refuse: bool = False) -> None:
        """Nothing passes any more: in silence, as when packets vanish, or with refused connections, as when the server is down."""
        self._loop.run(self._server.go_dark(refuse=refuse))

    def come_back(self) -> None:
        """Ends the darkness; what waits in silence goes on."""
        self._loop.run(self._server.come_back())

    # What was seen.

    def requests(self, *, method: str = "", path: str = "") -> tuple[Seen, ...]:
        """Requests since the beginning or `forget`, oldest first."""
        return self._ledger.requests(method, path)

    def count(self, *, method: str = "", path: str = "") -> int:
        """How many."""
        return len(self.requests(method=method, path=path))

    def writes(self, path: str = "") -> tuple[Seen, ...]:
        """Those that would change something."""
        return tuple(seen for seen in self.requests(path=path) if seen.method in WRITES)

    def forget(self) -> None:
        """Counts from now on."""
        self._ledger.forget()
