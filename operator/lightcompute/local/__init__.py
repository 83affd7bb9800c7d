"""The world of a run on this machine: a folder instead of an API object, processes instead of pods.

Nothing is decided here (`lightcompute.core` does) and nothing is trained here. Importing the package costs nothing: the
supervisor, which must start in a moment, is one of its modules.
"""
