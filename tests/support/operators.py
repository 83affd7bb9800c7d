"""The operator as a process of its own, as a test sees it: what it logged, what it answers, how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

LEASE_SECONDS = 6
_START_SECONDS = 60.0
_Found = TypeVar("_Found")


def eventually(found: Callable[[], _Found], seconds: float = 30.0) -> _Found:
    """What `found` returns once it is true."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)
    return value


class OperatorProcess:
    """One operator. `patience` sets constants of modules, as in "kube.process.SILENT_SECONDS"."""

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *options: str,
        patience: dict[str, float] | None = None,
    ) -> None:
        self._log = log
        self._port = 0
        arguments = [
            *("operator", "--kubeconfig", str(kubeconfig)),
            *("--http-host", "127.0.0.1", "--http-port", "0", "--log-format", "json"),
            *("--lease-seconds", str(LEASE_SECONDS), *options),
        ]
        code = "".join(_assignment(*each) for each in (patience or {}).items())
        code += f"from lightcompute.cli.main import main\nmain({arguments!r})\n"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONSAFEPATH": "1"},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(10)

    # ---- what it says ---------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        return self._log.read_text(encoding="utf-8")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log. What is no JSON object fails the test: everything goes through the one formatter."""
        return [json.loads(line) for line in self.text.splitlines()]

    def said(self, words: str) -> list[dict[str, Any]]:
        """Lines whose message contains `words`."""
        return [line for line in self.lines if words in line["message"]]

    def ask(self, path: str) -> tuple[int, str]:
        """Status and body of what it answers; 0 when it does not."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=10
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def checks(self, path: str) -> dict[str, str]:
        """What each check of a probe says."""
        checks: dict[str, str] = json.loads(self.ask(path)[1])["checks"]
        return checks

    def metric(self, name: str) -> float:
        """The sum over all series that begin with `name`."""
        lines = self.ask("/metrics")[1].splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    @property
    def port(self) -> int:
        if not self._port:
            (line, *_) = eventually(lambda: self.said("Answering http://"), _START_SECONDS)
            self._port = int(line["message"].partition("/healthz")[0].rpartition(":")[2])
        return self._port

    # ---- what is done to it ---------------------------------------------------------------------------

    def wait_ready(self, seconds: float = _START_SECONDS) -> Self:
        """Returns when it works."""

        def ready() -> bool:
            assert self.process.poll() is None, self.text
            return self.ask("/readyz")[0] == 200

        eventually(ready, seconds)
        return self

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> None:
        self.process.terminate()

    def wait(self, seconds: float = 40.0) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(seconds)


def _assignment(name: str, value: float) -> str:
    module, _, constant = name.rpartition(".")
    return f"import lightcompute.{module} as m\nm.{constant} = {value!r}\n"


def options_for(namespace: str, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Options of an operator that keeps to one namespace, so that tests don't meet."""
    return ("--namespace", namespace, "--lease-namespace", namespace, *more)
