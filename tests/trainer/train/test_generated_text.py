import pytest
import torch

from lightgpt.generate import Choice, choose, generate_tokens
from lightgpt.model.gpt import GPT
from runcontract.order import Model


def small_model() -> GPT:
    model = GPT(Model(layers=2, embedding_size=16, heads=2, context_length=8), 12)
    model.initialize(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(6)  # far from uniform, so that choices differ
    return model


def written(model: GPT, prompt: list[int], tokens: int, temperature: float = 0.8) -> list[int]:
    choice = Choice(temperature=temperature)
    return list(generate_tokens(model, prompt, tokens=tokens, choice=choice, seed=1))


def test_the_cache_changes_no_token_while_the_context_lasts() -> None:
    model = small_model()
    seen = [3, 1]
    for _ in range(6):
        logits = model(torch.tensor([seen]))
        seen.append(int(logits[0, -1].argmax()))
    assert written(model, [3, 1], 6, temperature=0) == seen[2:]


def test_beyond_the_context_the_newest_half_of_it_is_read_anew() -> None:
    model = small_model()
    seen = [3, 1]
    unseen = written(model, seen, 8, temperature=0)
    seen += unseen[:7]
    logits = model(torch.tensor([seen[-4:]]))
    assert unseen[7] == int(logits[0, -1].argmax())
    assert len(written(model, [3], 50, temperature=0)) == 50


def test_a_prompt_longer_than_the_context_counts_by_its_end() -> None:
    model = small_model()
    prompt = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert written(model, prompt, 1, temperature=0) == written(model, prompt[-8:], 1, temperature=0)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        written(small_model(), [], 1)


def test_no_global_generator_is_touched_and_training_mode_comes_back() -> None:
    model = small_model().train()
    before = torch.get_rng_state()
    written(model, [1], 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


def counts(choice: Choice, draws: int = 4000) -> torch.Tensor:
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    draw = torch.Generator().manual_seed(9)
    drawn = [choose(logits, choice, draw) for _ in range(draws)]
    return torch.bincount(torch.tensor(drawn), minlength=4) / draws


def test_tokens_are_drawn_by_their_probabilities() -> None:
    torch.testing.assert_close(
        counts(Choice(temperature=1)), torch.tensor([0.4, 0.3, 0.2, 0.1]), atol=0.03, rtol=0
    )


def test_temperature_sharpens_by_its_power() -> None:
    powers = torch.tensor([0.16, 0.09, 0.04, 0.01])
    torch.testing.assert_close(
        counts(Choice(temperature=0.5)), powers / powers.sum(), atol=0.03, rtol=0
    )


def test_top_k_leaves_the_k_likeliest() -> None:
    found = counts(Choice(temperature=1, top_k=2))
    torch.testing.assert_close(found, torch.tensor([4 / 7, 3 / 7, 0, 0]), atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("share", "left"), [(0.05, 1), (0.4, 1), (0.5, 2), (0.71, 3), (0.95, 4), (1.0, 4)]
)
def test_top_p_leaves_the_fewest_likeliest_that_hold_the_share(share: float, left: int) -> None:
    assert int((counts(Choice(temperature=1, top_p=share)) > 0).sum()) == left


def test_temperature_zero_takes_the_likeliest() -> None:
    assert counts(Choice(temperature=0))[0] == 1
