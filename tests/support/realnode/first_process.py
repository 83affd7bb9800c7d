"""The first process of the rig's namespaces: it makes its mounts, says that it is ready, and takes in orphans until it is killed.

Run as a file by `unshare`, with FOLDER=MOUNTPOINT for each folder that is to stand in for one of the machine. When it dies, the kernel ends every
process of its namespace and takes the mounts and the network away: so nothing of the rig outlives it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


def main(binds: list[str]) -> None:
    """Never returns."""
    # /proc is still the outer one, in which this process has its outer number.
    outer_pid = Path("/proc/self").readlink()
    mount("-t", "proc", "proc", "/proc")
    for bind in binds:
        folder, _, mountpoint = bind.partition("=")
        mount("--bind", folder, mountpoint)
    # Mounts of the kubelet are to be seen by the containers, as on a machine that systemd has started.
    mount("--make-rshared", "/")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # Taken one by one below, so that none gets lost between a look and a sleep.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    sys.stdout.write(f"{outer_pid}\n")
    sys.stdout.flush()
    while True:
        signal.sigwait({signal.SIGCHLD})
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def mount(*arguments: str) -> None:
    """Mounts."""
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
