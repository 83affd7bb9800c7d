"""nanoGPT as a peer: its own program, in a copy, on the same text, scored over the whole validation part.

Give the folder of a checkout of it. Nothing of it is part of this project; without it the benchmarks that compare against it
say so and leave that row out. Scored here and not by its own sampling of batches, which wobbles by several hundredths.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CPU_ARGUMENTS = [
    "config/train_shakespeare_char.py",
    "--device=cpu",
    "--compile=False",
    "--eval_iters=20",
    "--log_interval=1",
    "--block_size=64",
    "--batch_size=12",
    "--n_layer=4",
    "--n_head=4",
    "--n_embd=128",
    "--max_iters=2000",
    "--lr_decay_iters=2000",
    "--dropout=0.0",
]
"""The configuration that nanoGPT's README gives for a CPU."""

_SCORE = """
import json, sys
import numpy as np, torch
from model import GPT, GPTConfig
saved = torch.load("out-shakespeare-char/ckpt.pt", map_location="cpu", weights_only=True)
model = GPT(GPTConfig(**saved["model_args"]))
model.load_state_dict(saved["model"])
model.eval()
tokens = torch.from_numpy(np.fromfile("data/shakespeare_char/val.bin", dtype=np.uint16).astype(np.int64))
length = saved["model_args"]["block_size"]
total = 0.0
with torch.no_grad():
    for start in range(0, len(tokens) - 1, length):
        x, y = tokens[start : start + length][None], tokens[start + 1 : start + length + 1][None]
        _, loss = model(x[:, : y.shape[1]], y)
        total += loss.item() * y.shape[1]
print(json.dumps({"loss": total / (len(tokens) - 1)}))
"""


@dataclass(frozen=True, kw_only=True)
class PeerRun:
    """What the peer did: the whole process's wall time and the loss over the whole validation part."""

    wall_s: float
    nats_per_character: float


def run_cpu_configuration(checkout: Path, text: Path, folder: Path) -> PeerRun:
    """Trains nanoGPT's CPU configuration on `text` in a copy of `checkout` below `folder`."""
    copy = folder / "nanogpt"
    shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(".git"))
    data = copy / "data" / "shakespeare_char"
    shutil.copyfile(
        text, data / "input.txt"
    )  # its prepare.py downloads the text only where it is missing
    subprocess.run(
        [sys.executable, data / "prepare.py"], cwd=copy, check=True, stdout=subprocess.DEVNULL
    )
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "train.py", *CPU_ARGUMENTS],
        cwd=copy,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall_s = time.perf_counter() - began
    scored = subprocess.run(
        [sys.executable, "-c", _SCORE], cwd=copy, check=True, capture_output=True, text=True
    )
    # Its model says how many parameters it has before the score is printed.
    score = json.loads(scored.stdout.splitlines()[-1])
    return PeerRun(wall_s=wall_s, nats_per_character=float(score["loss"]))
