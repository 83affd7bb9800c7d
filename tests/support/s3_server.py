"""A real S3 server as a plain process, with its buckets in a folder; and what is wrong with a service, put between it and a trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lightgpt.checkpoint.faults import BucketFault
from lightgpt.vault.objects import Objects, StoredObject
from lightgpt.vault.places import read_listing
from runcontract.order import Bucket
from support.faulty_disks import Killed
from support.testcluster.binaries import S3_SERVER, binary
from support.testcluster.processes import Component, Endpoint, free_ports

KEY_ID = "testkey"
KEY = "not-a-secret-at-all"
BUCKET = "checkpoints"
_HOST = "127.0.0.1"


class S3Server:
    """One server and its one bucket."""

    def __init__(self, folder: Path, *, host: str = _HOST, within: tuple[str, ...] = ()) -> None:
        """Starts it; raises `NoBinaries` where it cannot be built. `within` is a command that runs it where `host` is an address."""
        program = binary(S3_SERVER)
        (folder / "buckets" / BUCKET).mkdir(parents=True)
        (port,) = free_ports(1)
        self.folder = folder
        self.endpoint = f"http://{host}:{port}"
        self.component = Component(
            "s3server",
            (
                *within, str(program), "--port", f"{host}:{port}", "--access", KEY_ID, "--secret", KEY,
                "--health", "/health", "posix", "--sidecar", str(folder / "attributes"), str(folder / "buckets"),
            ),
            log=folder / "s3server.log",
            ready=Endpoint(port=port, path="/health", secure=False, host=host),
        )  # fmt: skip
        (folder / "attributes").mkdir()
        self.component.start()
        self.component.wait_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.component.kill()

    def bucket(self, prefix: str = "", *, bucket: str = BUCKET) -> Bucket:
        """A place below `prefix`."""
        return Bucket(bucket=bucket, prefix=prefix, endpoint=self.endpoint, region="us-east-1")

    def key_files(self, folder: Path, *, key: str = KEY) -> Path:
        """A folder with the key as files, as a Secret is mounted."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "AWS_ACCESS_KEY_ID").write_text(KEY_ID, "utf-8")
        (folder / "AWS_SECRET_ACCESS_KEY").write_text(f"{key}\n", "utf-8")
        return folder

    def file(self, key: str) -> Path:
        """Where the server keeps the content of an object."""
        return self.folder / "buckets" / BUCKET / key


class Place:
    """One run's prefix of a bucket, and the folders of machines that work on it."""

    def __init__(self, server: S3Server, *, prefix: str, folder: Path) -> None:
        self.server = server
        self.prefix = prefix
        self.bucket = server.bucket(prefix)
        self.credentials = server.key_files(folder / "key")
        self._folder = folder
        self._machines = 0

    def objects(self) -> Objects:
        """A healthy way to the bucket."""
        return Objects(self.bucket, credentials=self.credentials)

    def machine(self) -> Path:
        """The checkpoint folder of a machine that has nothing yet."""
        self._machines += 1
        path = self._folder / f"machine-{self._machines}" / "checkpoints"
        path.parent.mkdir(parents=True)
        return path

    def names(self) -> set[str]:
        """Keys of the objects there, below the prefix."""
        return {each.key for each in self.objects().listed()}

    def committed(self) -> list[int]:
        """Steps that have a manifest, oldest first."""
        return sorted(read_listing(self.objects().listed("checkpoints/")).committed())

    def file(self, key: str) -> Path:
        """Where the server keeps the content of an object."""
        return self.server.file(f"{self.prefix}/{key}")


class CountingObjects(Objects):
    """Calls `strike` before operation number `at`, and before each one after it when `forever`; 0 never strikes."""

    def __init__(self, bucket: Bucket, *, credentials: Path, at: int = 0, forever: bool = False):
        super().__init__(bucket, credentials=credentials)
        self.at = at
        self.forever = forever
        self.operations: list[str] = []

    def strike(self, operation: str) -> None:
        """What happens at the chosen operation."""

    def _begin(self, operation: str) -> None:
        self.operations.append(operation)
        count = len(self.operations)
        if self.at and (count == self.at or (self.forever and count > self.at)):
            self.strike(operation)

    def put(self, key: str, data: bytes) -> None:
        self._begin("put")
        super().put(key, data)

    def put_new(self, key: str, data: bytes) -> bool:
        self._begin("put_new")
        return super().put_new(key, data)

    def put_file(self, key: str, path: Path) -> None:
        self._begin("put_file")
        super().put_file(key, path)

    def get(self, key: str, *, at_most_bytes: int) -> bytes:
        self._begin("get")
        return super().get(key, at_most_bytes=at_most_bytes)

    def copy(self, source: str, target: str) -> None:
        self._begin("copy")
        super().copy(source, target)

    def listed(self, prefix: str = "") -> tuple[StoredObject, ...]:
        self._begin("listed")
        return super().listed(prefix)

    def remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._begin("remove")
            super().remove((key,))

    def _piece(self, key: str, start: int, size_bytes: int) -> bytes:
        self._begin("piece")
        return super()._piece(key, start, size_bytes)


class KillingObjects(CountingObjects):
    """The process ends before the chosen operation."""

    def __init__(self, bucket: Bucket, *, credentials: Path, at: int = 0):
        super().__init__(bucket, credentials=credentials, at=at, forever=True)

    def strike(self, operation: str) -> None:
        raise Killed(operation)


class FailingObjects(CountingObjects):
    """The service fails at the chosen operation."""

    def strike(self, operation: str) -> None:
        raise BucketFault(
            self.where, f"cannot {operation}: the service says 503 Service Unavailable"
        )


class HookedObjects(CountingObjects):
    """Something else happens before the next request of one kind, once it is armed."""

    def __init__(self, bucket: Bucket, *, credentials: Path, hook: Callable[[], None]):
        super().__init__(bucket, credentials=credentials)
        self._hook = hook
        self._armed: str | None = None

    def arm(self, operation: str) -> None:
        """Strikes at the next request of this kind."""
        self._armed = operation

    def _begin(self, operation: str) -> None:
        super()._begin(operation)
        if operation == self._armed:
            self._armed = None
            self._hook()
