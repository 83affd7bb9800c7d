import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lightgpt.data.prepared import PreparedData, open_prepared, prepare
from support.texts import play, training, write_text

# Prepares, and dies by SIGKILL at the n-th call of what makes files durable, named or gone.
DIES = """
import builtins, os, shutil, signal, sys
from pathlib import Path

left = int(sys.argv[2])

def deadly(real):
    def call(*arguments, **keys):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **keys)
    return call

os.fsync = deadly(os.fsync)
Path.rename = deadly(Path.rename)
shutil.rmtree = deadly(shutil.rmtree)

from lightgpt.data.prepared import prepare
from runcontract.order import Training

folder = Path(sys.argv[1])
training = Training.model_validate_json((folder / "training.json").read_text())
builtins.open = deadly(builtins.open)  # what copies files opens them so
prepare(training, base_folder=folder, cache_folder=folder / "cache", variables={})
"""

# Prepares again and again as soon as it is told to, until it is killed.
REPEATS = """
import shutil, sys
from pathlib import Path
from lightgpt.data.prepared import prepare
from runcontract.order import Training

folder = Path(sys.argv[1])
training = Training.model_validate_json((folder / "training.json").read_text())
print("ready", flush=True)
while True:
    data = prepare(training, base_folder=folder, cache_folder=folder / "cache", variables={})
    (data.folder / "index.json").unlink()
"""

TRAINING = training()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_text(tmp_path, play(lines=400))
    (tmp_path / "training.json").write_text(TRAINING.model_dump_json())
    return tmp_path


def prepared(folder: Path, cache: str = "cache") -> PreparedData:
    return prepare(TRAINING, base_folder=folder, cache_folder=folder / cache, variables={})


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.glob("cache/prepared/[!.]*") if path.is_dir()]


@pytest.mark.slow
@pytest.mark.parametrize("harmed", [False, True], ids=["anew", "over a harmed entry"])
def test_a_kill_at_any_step_leaves_an_entry_that_is_whole_or_none(
    folder: Path, harmed: bool
) -> None:
    expected = prepared(folder, "reference")
    for step in range(1, 40):
        if harmed:
            (prepared(folder).folder / "training-00000.bin").write_bytes(b"harm")
        else:
            shutil.rmtree(folder / "cache", ignore_errors=True)
        done = subprocess.run([sys.executable, "-c", DIES, folder, str(step)], check=False)
        for entry in entries(folder):
            if not harmed or (entry / "training-00000.bin").read_bytes() != b"harm":
                open_prepared(entry, verify=True)
        again = prepared(folder)
        assert again.training.tokens[:].tolist() == expected.training.tokens[:].tolist()
        assert again.index == expected.index
        if done.returncode == 0:
            break
        assert done.returncode == -9
    else:
        pytest.fail("it never came to its end")
    assert step > 6


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_nothing_half_written_that_is_used(folder: Path) -> None:
    expected = prepared(folder, "reference")
    for milliseconds in (1, 5, 20, 50, 90, 140, 200):
        process = subprocess.Popen(
            [sys.executable, "-c", REPEATS, folder], stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            try:
                process.wait(milliseconds / 1000)
            except subprocess.TimeoutExpired:
                process.kill()
        again = prepared(folder)
        assert again.training.tokens[:].tolist() == expected.training.tokens[:].tolist()
        assert again.index == expected.index


@pytest.mark.slow
def test_processes_that_start_together_share_one_entry(folder: Path) -> None:
    code = DIES.replace("left == 0", "False")
    processes = [subprocess.Popen([sys.executable, "-c", code, folder, "0"]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert len(entries(folder)) == 1
    open_prepared(entries(folder)[0], verify=True)
