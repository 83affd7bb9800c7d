"""A trained model from a run's folder or from one checkpoint: what evaluate and generate begin with. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightgpt.checkpoint.faults import BrokenFile
from lightgpt.checkpoint.reading import LoadedCheckpoint, load_checkpoint, newest_whole
from lightgpt.model.gpt import GPT
from lightgpt.tokenizer.files import load_tokenizer
from lightgpt.tokenizer.protocol import TextTokenizer
from runcontract import folder as layout
from runcontract.document import parse_model
from runcontract.faults import CheckpointFault, Fault
from runcontract.manifest import MANIFEST
from runcontract.order import Model


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model with its weights, its tokenizer, the run's folder, and the checkpoint that the weights come from."""

    model: GPT
    tokenizer: TextTokenizer
    run_folder: Path
    checkpoint: LoadedCheckpoint


def open_trained(path: Path) -> Trained:
    """The model of the newest whole checkpoint of the run at `path`, or of the checkpoint at `path`.

    Raises `CheckpointFault` where there is none or its tokenizer is another one, `DataFault` without a tokenizer.
    """
    loaded = _loaded(path)
    run_folder = loaded.path.absolute().parent.parent
    tokenizer = load_tokenizer(run_folder / layout.TOKENIZER)
    if tokenizer.sha256 != loaded.manifest.tokenizer_sha256:
        raise CheckpointFault(
            Fault(
                where=str(run_folder / layout.TOKENIZER),
                found=f"a tokenizer of hash {tokenizer.sha256[:12]}",
                expected=f"the one that the model was trained with, of hash {loaded.manifest.tokenizer_sha256[:12]}",
            )
        )
    return Trained(
        model=_model(loaded), tokenizer=tokenizer, run_folder=run_folder, checkpoint=loaded
    )


def _loaded(path: Path) -> LoadedCheckpoint:
    if (path / MANIFEST).is_file():
        try:
            return load_checkpoint(path)
        except BrokenFile as error:
            raise _fault(path, str(error), "Take another checkpoint of the run.") from error
        except OSError as error:
            raise _fault(path, error.strerror or str(error)) from error
    loaded = newest_whole(path / layout.CHECKPOINTS)
    if loaded is None:
        found = "no whole checkpoint below it" if path.is_dir() else "no such folder"
        raise _fault(path, found)
    return loaded


def _model(loaded: LoadedCheckpoint) -> GPT:
    document = dict(loaded.manifest.model)
    vocab_size = document.pop("vocabSize", None)
    if not isinstance(vocab_size, int):
        raise _fault(loaded.path, "a manifest without the size of the vocabulary")
    model = GPT(parse_model(Model, document, where=f"{loaded.path} model"), vocab_size)
    try:
        model.load_state_dict(loaded.tensors["model"])
    except (KeyError, RuntimeError) as error:
        raise _fault(loaded.path, f"weights that don't fit its model: {error}"[:500]) from error
    return model


def _fault(path: Path, found: str, action: str = "") -> CheckpointFault:
    return CheckpointFault(
        Fault(
            where=str(path),
            found=found,
            expected="the folder of a run, or of one of its checkpoints",
            action=action,
        )
    )
