"""Starts a command that dies with whoever started it: the kernel kills it when its parent is gone.

`python leash.py PARENT_PID COMMAND ARGUMENT...` becomes the command. It is run as a file and imports next to nothing, since
it stands before each process of a trainer, torchrun's workers too (whose parent is torchrun: PARENT_PID 0 means "my parent").
Without it a trainer would go on unwatched, past its deadline, after a kill of its supervisor.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
NOT_FOUND = 127
NOT_EXECUTABLE = 126


def main(arguments: list[str]) -> int:
    """Ties itself to its parent and becomes the command; returns only when that fails."""
    parent = int(arguments[0]) or os.getppid()
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # It died before the line above.
        return 128 + signal.SIGKILL
    try:
        os.execvp(arguments[1], arguments[1:])  # noqa: S606 - the command is what the user ordered
    except OSError as error:
        sys.stderr.write(f"{arguments[1]}: {error.strerror}\n")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
