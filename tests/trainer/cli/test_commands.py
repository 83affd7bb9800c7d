import json
import subprocess
import sys

import pytest

from runcontract.exit_codes import ExitCode
from support.lightgpt_cli import call
from support.training import Workshop, order_document


@pytest.fixture
def trained(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("LIGHTCOMPUTE_CACHE", str(workshop.folder / "cache"))
    workshop.attempt(order_document(averaging={"decay": 0.5}))
    return workshop


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_needs_no_torch(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom lightgpt.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as e: code = e.code\n"
        "print(code, sorted({'torch', 'numpy', 'sentencepiece', 'tensorboard'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_evaluate_gives_the_losses_of_the_results_for_each_part(
    trained: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    out = trained.folder / "out"
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    for part, key in (("validation", "finalValidation"), ("test", "test")):
        called = call(capsys, "evaluate", out, "--part", part, "--json")
        assert called.code == 0, called.err
        scored = json.loads(called.out)
        assert scored["loss"] == results[key]
        assert scored["checkpoint"] == "step-00000012"
    text = call(capsys, "evaluate", out, "--part", "training").out
    assert "training loss of step-00000012" in text
    assert "bits/byte" in text


def test_evaluate_takes_one_checkpoint_too(
    trained: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    called = call(
        capsys, "evaluate", trained.folder / "out" / "checkpoints" / "step-00000004", "--json"
    )
    assert json.loads(called.out)["step"] == 4


def test_evaluate_refuses_a_text_that_was_changed_since(
    trained: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    with (trained.folder / "text.txt").open("a", encoding="utf-8") as file:
        file.write("the king\n" * 5)
    called = call(capsys, "evaluate", trained.folder / "out")
    assert called.code == ExitCode.BROKEN_CHECKPOINT
    assert "another text" in called.err


def test_generate_writes_the_prompt_and_as_many_tokens_as_asked_for_the_same_for_a_seed(
    trained: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("generate", trained.folder / "out", "--prompt", "the king", "--tokens", 40)
    first = call(capsys, *arguments, "--seed", 3)
    assert first.code == 0
    assert first.out.startswith("the king")
    assert len(first.out.rstrip("\n")) <= len("the king") + 40
    assert len(first.out) == len("the king") + 40 + 1
    assert call(capsys, *arguments, "--seed", 3) == first
    assert call(capsys, *arguments, "--seed", 4).out != first.out


def test_generate_says_what_of_a_prompt_cannot_be_encoded(
    trained: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    called = call(capsys, "generate", trained.folder / "out", "--prompt", "\N{SNOWMAN}")
    assert called.code == ExitCode.DATA_FAULT
    assert "Traceback" not in called.err


def test_generate_refuses_an_altered_checkpoint(
    trained: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trained.folder / "out" / "checkpoints" / "step-00000012"
    weights = path / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-3] ^= 1
    weights.write_bytes(raw)
    called = call(capsys, "generate", path)
    assert called.code == ExitCode.BROKEN_CHECKPOINT
    assert "altered or damaged" in called.err


@pytest.mark.slow
def test_smoke_passes_and_prints_a_table_and_a_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    called = call(capsys, "smoke", "--seeds", 2)
    assert called.code == 0
    assert called.out.count("%") >= 4
    assert "passed" in called.out
    document = json.loads(call(capsys, "smoke", "--seeds", 1, "--json").out)
    assert document["passed"]
    assert document["meanReduction"] > 0.8
