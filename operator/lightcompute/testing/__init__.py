"""For tests, ours and other people's: builders of runs and snapshots, and a simulated world with a clock of its own.

No mocks: the simulation is one more backend, with the same promises as a cluster and every fault on demand.
"""
