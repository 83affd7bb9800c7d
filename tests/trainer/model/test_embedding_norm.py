"""The norm over what enters the residual stream."""

import torch

from lightgpt.model.gpt import GPT
from runcontract.order import Model

SHAPE = {"layers": 1, "embeddingSize": 16, "heads": 2, "contextLength": 8}
TOKENS_BT = torch.tensor([[1, 5, 3, 3, 0, 7]])


def _model(**keys: object) -> GPT:
    model = GPT(Model.model_validate(SHAPE | keys), vocab_size=11)
    model.initialize(1337)
    return model


def test_with_the_norm_every_token_enters_with_a_root_mean_square_of_one() -> None:
    x_BTC = _model(embeddingNorm=True).embedding(TOKENS_BT).detach()
    torch.testing.assert_close(x_BTC.square().mean(-1).sqrt(), torch.ones(1, 6), atol=1e-3, rtol=0)


def test_with_the_norm_the_table_of_pairs_is_normalised_together_with_the_token() -> None:
    model = _model(embeddingNorm=True, bigramTableSize=64)
    assert model.embedding.bigram is not None
    torch.nn.init.normal_(model.embedding.bigram.weight)
    x_BTC = model.embedding(TOKENS_BT).detach()
    torch.testing.assert_close(x_BTC.square().mean(-1).sqrt(), torch.ones(1, 6), atol=1e-3, rtol=0)


def test_without_the_norm_tokens_enter_as_small_as_their_embedding_starts() -> None:
    x_BTC = _model(embeddingNorm=False).embedding(TOKENS_BT)
    assert x_BTC.square().mean().sqrt() < 0.05
