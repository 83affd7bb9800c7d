import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.realnode.programs import NoRealNode, ready
from support.realnode.space import Space
from support.testcluster.processes import Component

pytestmark = [pytest.mark.e2e, pytest.mark.realnode]


class AtOnce:
    """Ready as soon as it was started."""

    def answers(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def able() -> None:
    try:
        ready()
    except NoRealNode as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(reason))


def test_whatever_ran_inside_is_gone_with_its_mounts_and_its_network(tmp_path: Path) -> None:
    links, mounts = interfaces(), Path("/proc/self/mounts").read_text(encoding="utf-8")
    with Space.make(tmp_path / "node", binds={}) as space:
        # As a container's parent does it: nobody knows of the sleeper any more.
        space.run("sh", "-c", "setsid sleep 31557600 >/dev/null 2>&1 &")
        space.run("mount", "-t", "tmpfs", "none", "/run")
        while sleepers(space.pid) != 1:
            pass
        assert interfaces() != links
    assert not Path(f"/proc/{space.pid}").exists()
    assert interfaces() == links
    assert Path("/proc/self/mounts").read_text(encoding="utf-8") == mounts


def test_nothing_is_left_when_the_process_that_made_it_is_killed(tmp_path: Path) -> None:
    links = interfaces()
    with subprocess.Popen(
        [sys.executable, "-c", MAKER, str(tmp_path / "node")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    ) as maker:
        assert maker.stdout is not None
        first_process = Path(f"/proc/{maker.stdout.readline().strip()}")
        assert (first_process / "ns").is_dir()
        maker.kill()
    while first_process.exists():
        pass
    while interfaces() != links:
        pass


MAKER = """
import sys, time
from pathlib import Path
from support.realnode.space import Space
with Space.make(Path(sys.argv[1]), binds={}) as space:
    space.run("sh", "-c", "setsid sleep 31557600 >/dev/null 2>&1 &")
    print(space.pid, flush=True)
    time.sleep(31557600)
"""


def test_what_lies_in_var_and_run_is_the_rigs_own(tmp_path: Path) -> None:
    with Space.make(tmp_path / "node", binds={}) as space:
        space.run("touch", "/var/lib/kubelet.was.here", "/run/containerd.was.here")
        assert space.outside("/var/lib/kubelet.was.here").exists()
    assert not Path("/var/lib/kubelet.was.here").exists()
    assert not Path("/run/containerd.was.here").exists()


def test_a_killed_component_is_gone_although_another_program_started_it(tmp_path: Path) -> None:
    with Space.make(tmp_path / "node", binds={}) as space:
        command = (*space.inside, "sleep", "31557600")
        component = Component("sleeper", command, log=tmp_path / "log", ready=AtOnce())
        component.start()
        while sleepers(space.pid) != 1:
            assert component.is_alive, component.last_words()
        component.kill()
        while sleepers(space.pid):
            pass


def interfaces() -> str:
    """Names of the interfaces here."""
    done = subprocess.run(
        ["ip", "-brief", "link", "show", "type", "veth"], capture_output=True, text=True, check=True
    )
    return done.stdout


def sleepers(pid: int) -> int:
    """How many sleep in the namespace of a process."""
    ours = Path(f"/proc/{pid}/ns/pid").stat().st_ino
    return sum(is_sleeper(process, ours) for process in Path("/proc").glob("[0-9]*"))


def is_sleeper(process: Path, namespace: int) -> bool:
    try:
        is_ours = (process / "ns" / "pid").stat().st_ino == namespace
        return is_ours and (process / "comm").read_text(encoding="utf-8") == "sleep\n"
    except OSError:  # It went while it was looked at.
        return False
