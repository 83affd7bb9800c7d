import pytest

from lightgpt.data.plays import play_text

# Markdown breaks a line by two spaces at its end; here they are written ~.
MARKDOWN = """# Hamlet

## ACT I

### SCENE I. Elsinore. A platform before the castle.

_FRANCISCO at his post. Enter to him BERNARDO_

**BERNARDO**~
Who's there?

**FIRST CLOWN & ANOTHER**~
_\\[Aside]_~
Nay, answer  me:~
*Sound a horn.*
'\\--stand.

_Enter TITANIA, with
hers_
""".replace("~", "  ")

TEXT = """Hamlet

ACT I

SCENE I. Elsinore. A platform before the castle.

[FRANCISCO at his post. Enter to him BERNARDO]

BERNARDO:
Who's there?

FIRST CLOWN & ANOTHER:
[Aside]
Nay, answer me:
[Sound a horn.]
'--stand.

[Enter TITANIA, with hers]
"""


def test_a_play_in_markdown_becomes_a_playbook() -> None:
    assert play_text(MARKDOWN) == TEXT


def test_text_without_markdown_stays_as_it_is() -> None:
    assert play_text(TEXT) == TEXT


def test_windows_newlines_make_no_difference() -> None:
    assert play_text(MARKDOWN.replace("\n", "\r\n")) == TEXT


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("---\ntitle: x\n---\n# Lear\n", "Lear\n"),
        ("_\\[Aside]_  \nHum", "[Aside]\nHum\n"),
        ("__\\[Awaking]_  \nHum", "[Awaking]\nHum\n"),
        ("[Within]_  \nWho's there?", "[Within]\nWho's there?\n"),
        ("*[He draws his sword.]*", "[He draws his sword.]\n"),
        (
            "And thanks; and ever _\\[ ]_  \noft good turns",
            "And thanks; and ever\noft good turns\n",
        ),
        ("_\\[dispersedly, within_", "[dispersedly, within]\n"),
        ("_\\[dispersedly, within", "[dispersedly, within]\n"),
        ("a \\* b", "a * b\n"),
    ],
)
def test_the_oddities_of_the_source_are_smoothed(markdown: str, text: str) -> None:
    assert play_text(markdown) == text
