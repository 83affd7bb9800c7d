"""Texts to learn from and the trainings that name them, for tests of the data."""

import random
from pathlib import Path
from typing import Any

from runcontract.order import Training

_WORDS = [
    "the",
    "a",
    "king",
    "queen",
    "lord",
    "lady",
    "good",
    "night",
    "sweet",
    "sorrow",
    "sword",
    "crown",
    "blood",
    "honest",
    "speak",
    "come",
    "go",
    "hath",
    "doth",
    "shall",
    "will",
    "not",
    "thy",
    "thee",
    "thou",
    "my",
    "heart",
    "love",
    "war",
    "peace",
    "messenger",
    "citizen",
    "enter",
    "exit",
    "what",
    "who",
    "where",
    "when",
]


def play(lines: int = 400, seed: int = 7) -> str:
    """A text in the shape of a play: speakers, lines of words, empty lines. The same for the same arguments."""
    chance = random.Random(seed)
    return "".join(
        _speech(chance) if chance.random() < 0.3 else _line(chance) for _ in range(lines)
    )


def _speech(chance: random.Random) -> str:
    return f"\n{chance.choice(('KING', 'First Citizen', 'LADY ANNE'))}:\n"


def _line(chance: random.Random) -> str:
    words = [chance.choice(_WORDS) for _ in range(chance.randint(4, 9))]
    return f"{' '.join(words).capitalize()}{chance.choice((',', '.', '!', '?', ''))}\n"


def write_text(folder: Path, text: str, name: str = "text.txt") -> str:
    """Writes `text` as it is (newlines too) and gives the file's name."""
    (folder / name).write_bytes(text.encode())
    return name


def training(*files: str, **keys: Any) -> Training:
    """A training on `files`, small enough for any text; `keys` are those of the document, in camelCase."""
    document: dict[str, Any] = {
        "data": {"files": list(files or ("text.txt",))},
        "tokenizer": {"type": "BPE", "vocabSize": 128},
        "model": {"contextLength": 8},
        "maxSteps": 1,
    }
    for key, value in keys.items():
        merge = isinstance(value, dict) and key in document and key != "tokenizer"
        document[key] = document[key] | value if merge else value
    return Training.model_validate(document)
