"""A run's checkpoints in a bucket, where they outlive the machine that wrote them.

The folder of `lightgpt.checkpoint` stays what the loop writes to and loads from; a vault publishes what was committed there, brings it
back to a machine that has nothing, and keeps the bucket by the same rule. `objects` is the only module that talks to the service.
"""
