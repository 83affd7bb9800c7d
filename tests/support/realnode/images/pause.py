"""The image of the container that holds a pod's network: one small program of ours, so that nothing is pulled."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from support.realnode.images import builder
from support.realnode.programs import PAUSE
from support.testcluster.binaries import binary

NAME = "localhost/lightcompute-pause:1"
_CONTAINERFILE = 'FROM scratch\nCOPY pause /pause\nUSER 65535\nENTRYPOINT ["/pause"]\n'


def archive() -> Path:
    """The image as a file."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(binary(PAUSE), folder)
        builder.build(Path(folder), _CONTAINERFILE, image=NAME)
    return builder.archive(NAME)
