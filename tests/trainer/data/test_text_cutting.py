from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lightgpt.tokenizer.cutting import cut_after_newlines

TEXTS = st.text(alphabet="ab \n", max_size=200)


@given(TEXTS, st.integers(1, 20), st.integers(0, 20))
def test_the_blocks_joined_are_the_text_and_none_is_too_long_or_empty(
    text: str, at_least: int, more: int
) -> None:
    blocks = list(cut_after_newlines(text, at_least=at_least, at_most=at_least + more))
    assert "".join(blocks) == text
    assert all(0 < len(block) <= at_least + more for block in blocks)


@given(TEXTS, st.integers(1, 20), st.integers(0, 20))
def test_a_cut_is_after_a_newline_unless_a_line_is_too_long_for_that(
    text: str, at_least: int, more: int
) -> None:
    at_most = at_least + more
    blocks = list(cut_after_newlines(text, at_least=at_least, at_most=at_most))
    for block, following in pairwise(blocks):
        if not block.endswith("\n"):
            assert "\n" not in (block + following)[at_least - 1 : at_most]


def test_a_line_that_is_too_long_is_cut_before_a_space() -> None:
    assert list(cut_after_newlines("aaa bbb cccc", at_least=5, at_most=8)) == ["aaa bbb", " cccc"]


def test_a_word_that_is_too_long_is_cut_where_it_must_be() -> None:
    assert list(cut_after_newlines("aaaaaaaaaa", at_least=4, at_most=4)) == ["aaaa", "aaaa", "aa"]
