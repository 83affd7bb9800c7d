import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

from support.testcluster.api import Api, ApiFault
from support.testcluster.cluster import Cluster
from support.testcluster.kubeconfig import Access
from support.testcluster.proxy import FaultProxy

pytestmark = pytest.mark.e2e

RESET = (ConnectionError, http.client.HTTPException)


@pytest.fixture
def through(fault_proxy: FaultProxy) -> Iterator[Api]:
    """A client that goes through the proxy."""
    api = Api(fault_proxy.access, timeout_seconds=5)
    yield api
    api.close()


class Watch:
    """A watch on the ConfigMaps of a namespace, read by a thread; None ends the events."""

    def __init__(self, access: Access, namespace: str):
        host, _, port = access.server.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=30)
        self._connection.request(
            "GET",
            f"{config_maps(namespace)}?watch=1",
            headers={"Authorization": f"Bearer {access.token}"},
        )
        self._response = self._connection.getresponse()
        self.events: Queue[dict[str, Any] | None] = Queue()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while line := self._response.readline():
                self.events.put(json.loads(line))
        except (OSError, http.client.HTTPException) as error:
            self.error = error
        self.events.put(None)

    def next(self, seconds: float = 10) -> dict[str, Any] | None:
        return self.events.get(timeout=seconds)

    def close(self) -> None:
        self._thread.join(10)
        self._response.close()
        self._connection.close()


@pytest.fixture
def watch(fault_proxy: FaultProxy, namespace: str, control_plane: Cluster) -> Iterator[Watch]:
    """A watch that has seen everything there is."""
    found = Watch(fault_proxy.access, namespace)
    control_plane.api.post(config_maps(namespace), config_map("mark"))
    while (event := found.next()) is not None and event["object"]["metadata"]["name"] != "mark":
        pass
    yield found
    fault_proxy.cut_watches()
    found.close()


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def test_what_no_rule_speaks_of_passes_unchanged(
    through: Api, control_plane: Cluster, namespace: str, fault_proxy: FaultProxy
) -> None:
    made = through.post(config_maps(namespace), config_map("a"))
    through.patch(f"{config_maps(namespace)}/a", {"data": {"key": "ü" * 1000}})
    assert control_plane.api.get(f"{config_maps(namespace)}/a")["data"] == {"key": "ü" * 1000}
    with pytest.raises(ApiFault, match="already exists"):
        through.post(config_maps(namespace), config_map("a"))
    through.delete(
        f"{config_maps(namespace)}/a", {"preconditions": {"uid": made["metadata"]["uid"]}}
    )
    assert [(seen.method, seen.status) for seen in fault_proxy.writes("configmaps")] == [
        ("POST", 201), ("PATCH", 200), ("POST", 409), ("DELETE", 200),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "reason"),
    [(409, "Conflict"), (410, "Expired"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")],
)  # fmt: skip
def test_a_status_is_answered_so_many_times_and_the_server_never_hears_of_it(
    through: Api, namespace: str, fault_proxy: FaultProxy, status: int, reason: str
) -> None:
    fault_proxy.answer(status, method="POST", path="/configmaps", times=2)
    for _ in range(2):
        with pytest.raises(ApiFault) as refused:
            through.post(config_maps(namespace), config_map("a"))
        assert (refused.value.status, refused.value.reason) == (status, reason)
        assert through.find(f"{config_maps(namespace)}/a") is None
    through.post(config_maps(namespace), config_map("a"))


def test_a_client_is_told_how_long_to_wait(fault_proxy: FaultProxy, through: Api) -> None:
    fault_proxy.answer(429, retry_after_seconds=7)
    with pytest.raises(ApiFault) as refused:
        through.get("/version")
    assert refused.value.body["details"]["retryAfterSeconds"] == 7


def test_a_dropped_request_does_nothing(
    through: Api, control_plane: Cluster, namespace: str, fault_proxy: FaultProxy
) -> None:
    fault_proxy.drop_request(method="POST")
    with pytest.raises(RESET):
        through.post(config_maps(namespace), config_map("a"))
    assert control_plane.api.find(f"{config_maps(namespace)}/a") is None
    through.post(config_maps(namespace), config_map("a"))


def test_a_dropped_response_was_carried_out(
    through: Api, control_plane: Cluster, namespace: str, fault_proxy: FaultProxy
) -> None:
    fault_proxy.drop_response(method="POST")
    with pytest.raises(RESET):
        through.post(config_maps(namespace), config_map("a"))
    assert control_plane.api.get(f"{config_maps(namespace)}/a")
    assert fault_proxy.count(method="POST") == 1


def test_a_delayed_request_arrives_though_its_client_gave_up(
    control_plane: Cluster, namespace: str, fault_proxy: FaultProxy
) -> None:
    fault_proxy.delay(1, method="POST")
    impatient = Api(fault_proxy.access, timeout_seconds=0.3)
    with pytest.raises(TimeoutError):
        impatient.post(config_maps(namespace), config_map("late"))
    impatient.close()
    assert control_plane.api.find(f"{config_maps(namespace)}/late") is None
    control_plane.api.eventually(f"{config_maps(namespace)}/late", bool)


def test_a_watch_passes_event_by_event(
    watch: Watch, control_plane: Cluster, namespace: str
) -> None:
    control_plane.api.post(config_maps(namespace), config_map("a"))
    event = watch.next()
    assert event is not None
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")


def test_watches_are_cut_with_a_reset(watch: Watch, fault_proxy: FaultProxy) -> None:
    assert fault_proxy.cut_watches("/configmaps") == 1
    assert watch.next() is None
    assert isinstance(watch.error, RESET)


def test_an_error_is_put_into_a_watch_and_ends_it(watch: Watch, fault_proxy: FaultProxy) -> None:
    assert fault_proxy.inject(410, "/configmaps") == 1
    event = watch.next()
    assert event is not None
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert watch.next() is None
    assert watch.error is None


def test_any_event_is_put_into_a_watch_that_goes_on(
    watch: Watch, fault_proxy: FaultProxy, control_plane: Cluster, namespace: str
) -> None:
    fault_proxy.inject({"type": "BOOKMARK", "object": {}})
    control_plane.api.post(config_maps(namespace), config_map("after"))
    kinds = [event["type"] for event in (watch.next(), watch.next()) if event is not None]
    assert kinds == ["BOOKMARK", "ADDED"]


def test_in_the_dark_nothing_passes_and_afterwards_everything_does(
    watch: Watch, fault_proxy: FaultProxy, control_plane: Cluster, namespace: str
) -> None:
    fault_proxy.go_dark()
    impatient = Api(fault_proxy.access, timeout_seconds=0.3)
    with pytest.raises(TimeoutError):
        impatient.get("/version")
    control_plane.api.post(config_maps(namespace), config_map("unseen"))
    time.sleep(0.2)
    assert watch.events.empty()
    fault_proxy.come_back()
    event = watch.next()
    assert event is not None
    assert event["object"]["metadata"]["name"] == "unseen"
    assert impatient.get("/version")
    impatient.close()


def test_in_the_dark_connections_may_be_refused(
    watch: Watch, through: Api, fault_proxy: FaultProxy
) -> None:
    through.get("/version")
    fault_proxy.go_dark(refuse=True)
    assert watch.next() is None
    with pytest.raises(ConnectionRefusedError):
        through.get("/version")
    fault_proxy.come_back()
    assert through.get("/version")


def test_rules_speak_of_what_they_name_until_they_are_dropped(
    through: Api, fault_proxy: FaultProxy
) -> None:
    fault_proxy.answer(503, path="/api/v1/nodes", times=None)
    for refused in _thrice(lambda: through.get("/api/v1/nodes", limit=1)):
        assert refused == 503
    assert through.get("/version")
    fault_proxy.clear()
    assert through.get("/api/v1/nodes", limit=1)


def _thrice(call: Callable[[], object]) -> Iterator[int]:
    for _ in range(3):
        with pytest.raises(ApiFault) as refused:
            call()
        yield refused.value.status


def test_requests_are_counted_from_where_the_test_wants(
    through: Api, fault_proxy: FaultProxy
) -> None:
    through.get("/version")
    fault_proxy.forget()
    through.get("/version")
    (seen,) = fault_proxy.requests(path="/version")
    assert (seen.method, seen.status, seen.is_watch, seen.fault) == ("GET", 200, False, None)
    assert seen.seconds is not None
