"""Every operation by which a run uses a bucket, one method each; the library below is obstore.

It exists so that tests can stop, refuse or lose the service at each of them. Memory is bounded by pieces, whatever the size of an object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from lightgpt.checkpoint.faults import BucketFault, storage_fault
from lightgpt.vault.faults import bucket_fault, code_of
from runcontract.order import Bucket

PIECE_BYTES = 8 << 20
_PIECES_IN_FLIGHT = 4
_REQUEST_SECONDS = 60
_RETRY_SECONDS = 60
_MOST_RETRIES = 6
_CREDENTIALS_SECONDS = 60
"""How long a key that was read from a file is used before it is read again."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object as a listing tells of it; `etag` changes whenever its content is written anew."""

    key: str
    size_bytes: int
    etag: str


class Objects:
    """The objects below one prefix of a bucket. Raises `BucketFault` where the service does not do what was asked.

    `credentials` is a folder as `runcontract.environment.S3_CREDENTIALS` says; then its making raises one too.
    """

    def __init__(self, bucket: Bucket, *, credentials: Path | None = None) -> None:
        prefix = bucket.prefix.strip("/")
        self.where = f"s3://{bucket.bucket}/{prefix}".rstrip("/")
        given: dict[str, Any] = {}
        if bucket.endpoint is not None:
            given["endpoint"] = bucket.endpoint.rstrip("/")
        if credentials is not None:
            keys = _KeyFiles(credentials)
            keys.refuse_missing()
            given["credential_provider"] = keys
        self._store = S3Store(
            bucket.bucket,
            prefix=prefix or None,
            region=bucket.region or "us-east-1",
            virtual_hosted_style_request=bucket.endpoint is None,
            client_options={
                "allow_http": (bucket.endpoint or "").startswith("http://"),
                "connect_timeout": timedelta(seconds=10),
                "timeout": timedelta(seconds=_REQUEST_SECONDS),
            },
            retry_config={
                "max_retries": _MOST_RETRIES,
                "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
            },
            # None is taken for a value.
            **given,
        )

    def put(self, key: str, data: bytes) -> None:
        """Writes an object, whether it is there or not."""
        try:
            obstore.put(self._store, key, data, use_multipart=False)
        except (BaseError, OSError) as error:
            raise self._fault(key, "write", error) from error

    def put_new(self, key: str, data: bytes) -> bool:
        """Writes an object that is not there; False, and nothing done, when it is."""
        try:
            obstore.put(self._store, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise self._fault(key, "write", error) from error
        return True

    def put_file(self, key: str, path: Path) -> None:
        """Writes the file's content as an object, in parts of `PIECE_BYTES` of which a few are under way at a time."""
        with path.open("rb") as file:
            try:
                obstore.put(
                    self._store,
                    key,
                    file,
                    chunk_size=PIECE_BYTES,
                    max_concurrency=_PIECES_IN_FLIGHT,
                )
            except (BaseError, OSError) as error:
                raise self._fault(key, "write", error) from error

    def get(self, key: str, *, at_most_bytes: int) -> bytes:
        """The object's first bytes; raises FileNotFoundError when there is no such object."""
        try:
            found = obstore.get(self._store, key)
            if found.meta["size"] <= at_most_bytes:
                return bytes(found.bytes())
            return bytes(obstore.get_range(self._store, key, start=0, length=at_most_bytes))
        except FileNotFoundError as error:
            if code_of(error) == "NoSuchBucket":
                raise self._fault(key, "read", error) from error
            raise FileNotFoundError(f"{self.where}/{key}") from error
        except (BaseError, OSError) as error:
            raise self._fault(key, "read", error) from error

    def pieces(self, key: str, size_bytes: int) -> Iterator[bytes]:
        """The object's bytes in order, one piece ahead of the reader; raises FileNotFoundError when there is no such object."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="vault-reader") as ahead:
            before: Future[bytes] | None = None
            for start in range(0, size_bytes, PIECE_BYTES):
                piece = ahead.submit(self._piece, key, start, size_bytes)
                if before is not None:
                    yield before.result()
                before = piece
            if before is not None:
                yield before.result()

    def copy(self, source: str, target: str) -> None:
        """Gives an object a second name."""
        try:
            obstore.copy(self._store, source, target)
        except (BaseError, OSError) as error:
            raise self._fault(source, "copy", error) from error

    def listed(self, prefix: str = "") -> tuple[StoredObject, ...]:
        """Every object below `prefix`, which ends at a slash, by its key."""
        try:
            pages = list(obstore.list(self._store, prefix or None))
        except (BaseError, OSError) as error:
            raise self._fault(prefix, "list", error) from error
        found = [
            StoredObject(key=each["path"], size_bytes=each["size"], etag=each["e_tag"] or "")
            for page in pages
            for each in page
        ]
        return tuple(sorted(found, key=lambda each: each.key))

    def remove(self, keys: Sequence[str]) -> None:
        """Removes objects; one that is gone already does not matter."""
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError as error:
                if code_of(error) == "NoSuchBucket":
                    raise self._fault(key, "delete", error) from error
            except (BaseError, OSError) as error:
                raise self._fault(key, "delete", error) from error

    def _piece(self, key: str, start: int, size_bytes: int) -> bytes:
        length = min(PIECE_BYTES, size_bytes - start)
        try:
            return bytes(obstore.get_range(self._store, key, start=start, length=length))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.where}/{key}") from error
        except (BaseError, OSError) as error:
            raise self._fault(key, "read", error) from error

    def _fault(self, key: str, verb: str, error: BaseException) -> BucketFault:
        return bucket_fault(f"{self.where}/{key}".rstrip("/"), verb, error)


def opened_bucket(bucket: Bucket, credentials: str | None) -> Objects:
    """The bucket, with the key in the folder `credentials` where there is one; raises `StorageFault` when there is no key in it."""
    folder = Path(credentials) if credentials else None
    try:
        return Objects(bucket, credentials=folder)
    except BucketFault as error:
        raise storage_fault(folder or Path(), error) from error


class _KeyFiles:
    """An access key in files that somebody may replace while a run lasts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def refuse_missing(self) -> None:
        """Raises `BucketFault` when there is no key."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            if not (self._folder / name).is_file():
                raise BucketFault(
                    str(self._folder),
                    f"no {name}",
                    action="See that the Secret that storage.s3 names is in the namespace where the run is placed, and has this key.",
                )

    def __call__(self) -> Any:
        credential: dict[str, Any] = {
            "access_key_id": self._read("AWS_ACCESS_KEY_ID"),
            "secret_access_key": self._read("AWS_SECRET_ACCESS_KEY"),
            "expires_at": datetime.now(UTC) + timedelta(seconds=_CREDENTIALS_SECONDS),
        }
        if token := self._read("AWS_SESSION_TOKEN", default=""):
            credential["token"] = token
        return credential

    def _read(self, name: str, default: str | None = None) -> str:
        try:
            return (self._folder / name).read_text("utf-8").strip()
        except FileNotFoundError:
            if default is None:
                raise
            return default
