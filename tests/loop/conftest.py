"""Tells at the end how many crash points were tried."""

import pytest

CRASH_POINTS = "crash_points"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("passed", [])
    counts = [
        int(str(value))
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == CRASH_POINTS
    ]
    if counts:
        terminalreporter.write_line(
            f"crash points of the loop: {sum(counts)} tried over {len(counts)} scenarios, all survived"
        )
