"""TensorBoard event files, written by TensorBoard's own message types and nothing else of it.

`torch.utils.tensorboard` and TensorBoard's writer import a second's worth of code and write from a thread that a killed process
loses; the file format is a length, a checksum, the message and a checksum. Each attempt adds a file, and its first event tells
TensorBoard to forget what an earlier attempt wrote at later steps.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING

_POLYNOMIAL = 0x82F63B78


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _table()


def _masked_checksum(data: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord files have it."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """`data` framed as one TFRecord."""
    length = struct.pack("<Q", len(data))
    return b"".join(
        (
            length,
            struct.pack("<I", _masked_checksum(length)),
            data,
            struct.pack("<I", _masked_checksum(data)),
        )
    )


class EventLog:
    """One event file. Writing never raises: what people look at must not stop what they wait for."""

    def __init__(self, folder: Path, *, resumed_step: int | None) -> None:
        self._path = (
            folder / f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        )
        self._size = 0
        self.failed = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._path.touch()
        except OSError:
            self.failed = True
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if resumed_step is not None:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=time.time(), step=resumed_step + 1, session_log=start))

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """Adds a point to each curve."""
        summary = Summary(
            value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        )
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def text(self, tag: str, text: str, *, step: int) -> None:
        """Adds a text, read as Markdown, with its line breaks kept."""
        shown = "\n".join(f"    {line}" for line in text.split("\n"))
        value = Summary.Value(
            tag=f"{tag}/text_summary",
            metadata=SummaryMetadata(
                plugin_data=SummaryMetadata.PluginData(plugin_name="text", content=b"")
            ),
            tensor=TensorProto(
                dtype=DT_STRING,
                string_val=[shown.encode()],
                tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
            ),
        )
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=[value])))

    def _write(self, event: Event) -> None:
        if self.failed:
            return
        raw = record(event.SerializeToString())
        try:
            with self._path.open("r+b") as file:
                file.truncate(self._size)
                file.seek(self._size)
                file.write(raw)
        except OSError:
            return  # a gap in a curve; metrics.csv has the values
        self._size += len(raw)
