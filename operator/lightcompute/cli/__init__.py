"""The command line. It says what was decided and observed elsewhere; nothing is decided here.

Each command is a module of its own, imported when it is called, so that `--help` is there at once.
"""
