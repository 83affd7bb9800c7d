"""TrainingBudgets at work, in a cluster and on a laptop alike: sums of what runs take, what is told of them, and what stays of runs that are gone.

Nothing is decided here (`core.allowance` does), and nobody is asked but the time zone database. Where runs and budgets come from, and where
what is told goes, is a matter of each world.
"""
