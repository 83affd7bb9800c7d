from support.source import CHECKOUT


def test_every_example_is_named_in_a_test() -> None:
    # An example that no test runs is wrong sooner or later.
    tests = "\n".join(
        path.read_text(encoding="utf-8") for path in (CHECKOUT / "tests").rglob("test_*.py")
    )
    examples = sorted(path.name for path in (CHECKOUT / "examples").glob("*.yaml"))
    assert [name for name in examples if name not in tests] == []
