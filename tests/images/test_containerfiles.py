"""The Containerfiles, read: what they begin from, as whom they end, and what can get into an image. Building is for `make images`."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.source import CHECKOUT

IMAGES = ("operator", "trainer")
images = pytest.mark.parametrize("image", IMAGES)
# Dockerfiles have been where secrets lie ever since there are any.
_SECRET = re.compile(r"(?i)(password|passwd|api_?key|secret_?key|token)\s*[=:]")


@dataclass(frozen=True, kw_only=True)
class Line:
    """An instruction, its continued lines joined."""

    word: str
    rest: str


def lines(image: str) -> tuple[Line, ...]:
    text = (CHECKOUT / f"images/{image}/Containerfile").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\s*\\\n\s*", " ", kept)
    found = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return tuple(Line(word=word, rest=rest.strip()) for word, _, rest in found)


def final(image: str) -> tuple[Line, ...]:
    """The last stage."""
    every = lines(image)
    begin = max(number for number, line in enumerate(every) if line.word == "FROM")
    return every[begin:]


def one(found: tuple[Line, ...], word: str) -> str:
    (only,) = (line.rest for line in found if line.word == word)
    return only


def arguments(image: str) -> dict[str, str]:
    """Build arguments with their defaults."""
    pairs = (line.rest.partition("=") for line in lines(image) if line.word == "ARG")
    return {name: default for name, _, default in pairs}


def variables(image: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in one(final(image), "ENV").split())
    return {name: value for name, _, value in pairs}


@images
def test_an_image_begins_from_what_the_builder_says_and_from_no_moving_tag(image: str) -> None:
    base = arguments(image)["BASE_IMAGE"]
    assert re.fullmatch(r"[\w./-]+(:[\w.-]+|@sha256:[0-9a-f]{64})", base)
    assert not base.endswith(":latest")

    every = lines(image)
    stages = {line.rest.split(" AS ")[1] for line in every if " AS " in line.rest}
    for line in every:
        if line.word == "FROM":
            begun = line.rest.split(" AS ")[0]
            assert begun in stages or re.fullmatch(
                r"\$\{(BASE_IMAGE|RUNTIME_IMAGE)\}|base-\$\{TORCH\}", begun
            )


@images
def test_what_builds_an_image_is_no_part_of_it(image: str) -> None:
    last = final(image)

    assert [line.rest for line in last if line.word == "COPY"] == [
        "--from=build /opt/lightcompute /opt/lightcompute"
    ]
    assert not [line for line in last if line.word in {"RUN", "ADD"}]


@images
def test_an_image_runs_as_nobody_with_rights(image: str) -> None:
    assert one(final(image), "USER") == "65532:65532"
    assert not [line for line in final(image) if line.word == "VOLUME"]


@pytest.mark.parametrize(
    ("image", "entrypoint", "command"),
    [
        ("operator", ["/opt/lightcompute/bin/python", "-m", "lightcompute"], ["operator"]),
        ("trainer", ["/opt/lightcompute/bin/python", "-m", "lightgpt"], ["--help"]),
    ],
)
def test_an_image_starts_its_program_without_a_shell(
    image: str, entrypoint: list[str], command: list[str]
) -> None:
    assert json.loads(one(final(image), "ENTRYPOINT")) == entrypoint
    assert json.loads(one(final(image), "CMD")) == command


@images
def test_python_writes_no_byte_code_keeps_no_output_back_and_imports_from_no_working_folder(
    image: str,
) -> None:
    found = variables(image)

    assert found["PATH"].startswith("/opt/lightcompute/bin:")
    assert found["HOME"] == "/tmp"  # noqa: S108 - a volume of the pod's own
    assert {key: found.get(key) for key in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONSAFEPATH")} == {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
    }  # fmt: skip


@images
def test_an_image_says_what_it_is_and_of_which_commit(image: str) -> None:
    labels = one(final(image), "LABEL")
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    for key in ("title", "description", "licenses", "version", "revision", "source"):
        assert f"org.opencontainers.image.{key}=" in labels
    assert 'org.opencontainers.image.revision="${REVISION}"' in labels
    assert arguments(image)["VERSION"] == version["version"]
    assert version["license"] == "Apache-2.0"
    assert 'licenses="Apache-2.0"' in labels


@images
def test_everything_from_an_index_is_locked_and_hashed(image: str) -> None:
    installs = [
        command
        for line in lines(image)
        if line.word == "RUN"
        for command in line.rest.split("&&")
        if " install " in command and "pip" in command and "apt-get" not in command
    ]

    assert installs
    for command in installs:
        assert "--no-deps" in command
        assert "--require-hashes" in command or "--no-index" in command, command


def test_each_image_has_its_own_lock_and_no_other() -> None:
    operator = " ".join(line.rest for line in lines("operator"))
    trainer = " ".join(line.rest for line in lines("trainer"))

    assert "requirements/operator.txt" in operator
    assert "requirements/trainer.txt" not in operator
    assert "requirements/trainer.txt" in trainer
    assert "requirements/operator.txt" not in trainer


@images
def test_nothing_that_looks_like_a_secret_is_written_down(image: str) -> None:
    for line in lines(image):
        assert not _SECRET.search(line.rest), line.rest
    assert "id=pip.conf" in " ".join(line.rest for line in lines(image))


@images
def test_only_what_is_needed_goes_into_a_build(image: str) -> None:
    text = (CHECKOUT / f"images/{image}/Containerfile.dockerignore").read_text(encoding="utf-8")
    patterns = [line for line in text.splitlines() if line and not line.startswith("#")]

    assert patterns[0] == "*"
    wanted = [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]
    missing = [pattern for pattern in wanted if not list(CHECKOUT.glob(pattern))]
    assert missing == []
    # What is copied is let in.
    for line in lines(image):
        if line.word == "COPY" and not line.rest.startswith("--from"):
            for source in line.rest.split()[:-1]:
                assert _is_let_in(Path(source), wanted), source


def _is_let_in(source: Path, wanted: list[str]) -> bool:
    """Whether a source is among what is let in, or above it."""
    return any(source.match(each) or source in Path(each).parents for each in wanted)
