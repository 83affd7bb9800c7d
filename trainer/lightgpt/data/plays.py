"""Turns a play in Markdown into the plain text of a playbook. Pure: it knows text, not where plays come from.

    **BERNARDO**            BERNARDO:
    Who's there?      ->    Who's there?

Headings keep their words, stage directions stand in square brackets, Markdown's signs are gone.
"""

from __future__ import annotations

import re

_SPEAKER = re.compile(r"^\*\*(.+?)\*\*$")
_HEADING = re.compile(r"^#{1,6}\s+")
# One or more signs of emphasis, what they enclose (with or without brackets of its own), and the signs again.
_DIRECTION = re.compile(
    r"(?<![\w\\])([_*]{1,2})\s*(?:\\?\[)?(?P<words>[^_*]*?)(?:\\?\])?\s*[_*]{1,2}(?!\w)"
)
_EMPHASIS = re.compile(r"(?<!\\)[_*]")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_SPACES = re.compile(r"[ \t]+")


def play_text(markdown: str) -> str:
    """The play as plain text that ends with a newline; paragraphs are parted by one empty line."""
    paragraphs = re.split(r"\n\s*\n", _without_front_matter(markdown.replace("\r\n", "\n")))
    texts = [text for text in map(_paragraph, paragraphs) if text]
    return "\n\n".join(texts) + "\n"


def _without_front_matter(markdown: str) -> str:
    return re.sub(r"\A\ufeff?---\n.*?\n---\n", "", markdown, flags=re.DOTALL)


def _paragraph(markdown: str) -> str:
    lines = [_line(line) for line in markdown.split("\n")]
    joined = "\n".join(line for line in lines if line)
    # What is left of emphasis afterwards has lost its other half.
    bracketed = _EMPHASIS.sub("", _DIRECTION.sub(_direction, joined))
    plain = _ESCAPE.sub(r"\1", bracketed)
    return "\n".join(filter(None, map(_tidy, plain.split("\n"))))


def _line(line: str) -> str:
    line = line.strip()
    if speaker := _SPEAKER.match(line):
        return f"{speaker[1].strip()}:"
    return _HEADING.sub("", line)


def _tidy(line: str) -> str:
    line = _SPACES.sub(" ", line).strip()
    # A direction whose end the source forgot ends with its line.
    return line + "]" * (line.count("[") - line.count("]"))


def _direction(match: re.Match[str]) -> str:
    words = " ".join(match["words"].split())
    return f"[{words}]" if words else ""
