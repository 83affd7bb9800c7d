import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lightgpt.data.prepared import PreparedData, prepare
from lightgpt.divergence import DivergedError
from lightgpt.evaluate import evaluate, scored_lengths
from lightgpt.model.gpt import GPT
from lightgpt.train.world import read_world
from runcontract.document import parse_model
from runcontract.order import Training
from support.training import order_document, small_text

CONTEXT = 8


def prepared(folder: Path, text: str, tokenizer: dict[str, Any]) -> PreparedData:
    (folder / "text.txt").write_text(text, encoding="utf-8")
    model = {"contextLength": CONTEXT}
    document = order_document(tokenizer=tokenizer, model=model, samples={"tokens": 0})
    training = parse_model(Training, document["training"])
    return prepare(training, base_folder=folder, cache_folder=folder, variables={})


def untaught(vocab_size: int) -> GPT:
    """A model whose every distribution is uniform: an untied output layer of zeros."""
    config = parse_model(Training, order_document()["training"]).model.model_copy(
        update={
            "context_length": CONTEXT,
            "tied_embeddings": False,
            "initialization": "ZeroOutput",
        }
    )
    model = GPT(config, vocab_size)
    model.initialize(1)
    return model


TOKENIZERS: dict[str, dict[str, Any]] = {
    "BPE": {"type": "BPE", "vocabSize": 60},
    "Character": {"type": "Character"},
    "Byte": {"type": "Byte"},
}


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_a_uniform_model_costs_the_log_of_the_vocabulary_for_each_token_but_the_first(
    tmp_path: Path, kind: str, batch_size: int
) -> None:
    text = small_text()
    data = prepared(tmp_path, text, TOKENIZERS[kind])
    part, tokenizer = data.validation, data.tokenizer
    model = untaught(tokenizer.vocab_size)
    loss = evaluate(model, part, tokenizer, batch_size=batch_size, world=read_world({}))
    assert loss is not None
    tokens = len(part.tokens)
    scored = tokenizer.decode([int(token) for token in part.tokens[1:]])
    nats = math.log(tokenizer.vocab_size)
    assert loss.nats_per_token == pytest.approx(nats, rel=1e-6)
    assert loss.nats_per_character == pytest.approx(nats * (tokens - 1) / len(scored), rel=1e-6)
    bits = nats * (tokens - 1) / len(scored.encode()) / math.log(2)
    assert loss.bits_per_byte == pytest.approx(bits, rel=1e-6)


def test_of_a_first_character_that_is_cut_into_bytes_the_rest_is_scored(tmp_path: Path) -> None:
    data = prepared(tmp_path, "\N{EURO SIGN}" * 2000, {"type": "Byte"})
    characters, bytes_ = scored_lengths(data.validation, data.tokenizer)
    assert characters == data.validation.characters
    assert bytes_ == data.validation.bytes_ - 1 == len(data.validation.tokens) - 1


def test_an_evaluation_that_is_interrupted_has_no_loss_and_gives_training_mode_back(
    tmp_path: Path,
) -> None:
    data = prepared(tmp_path, small_text(), {"type": "Character"})
    model = untaught(data.tokenizer.vocab_size).train()
    loss = evaluate(
        model,
        data.validation,
        data.tokenizer,
        batch_size=4,
        world=read_world({}),
        interrupted=lambda: True,
    )
    assert loss is None
    assert model.training


def test_weights_that_are_no_numbers_are_told_and_not_averaged(tmp_path: Path) -> None:
    data = prepared(tmp_path, small_text(), {"type": "Character"})
    model = untaught(data.tokenizer.vocab_size)
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    with pytest.raises(DivergedError, match="nan"):
        evaluate(model, data.validation, data.tokenizer, batch_size=4, world=read_world({}))


def test_dropout_does_not_act(tmp_path: Path) -> None:
    data = prepared(tmp_path, small_text(), {"type": "Character"})
    config = untaught(2).config.model_copy(
        update={"dropout": 0.5, "initialization": "Normal", "tied_embeddings": True}
    )
    model = GPT(config, data.tokenizer.vocab_size)
    model.initialize(1)
    losses = {
        evaluate(model.train(), data.validation, data.tokenizer, batch_size=4, world=read_world({}))
        for _ in range(2)
    }
    assert len(losses) == 1
