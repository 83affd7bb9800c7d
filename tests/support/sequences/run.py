"""`make sequences`: plays random sequences on the simulator, prints what they came to, and the first that failed as short as it was found."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from support.sequences.shorten import shortened
from support.sequences.tally import Tally, played

_AT_A_TIME = 50


def main(arguments: list[str]) -> int:
    """Plays them; 0 only when everything held in each of them."""
    parser = argparse.ArgumentParser(prog="make sequences", description=__doc__)
    parser.add_argument("--sequences", type=int, default=10_000, help="how many")
    parser.add_argument("--seed", type=int, help="of the first; the next has the next number")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="played at a time")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000_000) if given.seed is None else given.seed
    print(f"seeds {seed} to {seed + given.sequences - 1}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.monotonic()
    try:
        tally = _played(range(seed, seed + given.sequences), jobs=given.jobs)
    except KeyboardInterrupt:
        return 130
    print(f"{tally}, {time.monotonic() - begin:.0f} s")
    for failed in tally.failed[:1]:
        print(f"\nas it was drawn: {failed.fault}\n\n{shortened(failed)}\n")
        print(f"again: make sequences SEQUENCES=1 SEED={failed.sequence.seed}")
    return 1 if tally.failed else 0


def _played(seeds: range, *, jobs: int) -> Tally:
    parts = [seeds[begin : begin + _AT_A_TIME] for begin in range(0, len(seeds), _AT_A_TIME)]
    with ProcessPoolExecutor(jobs) as pool:
        return sum(pool.map(played, parts), Tally())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
