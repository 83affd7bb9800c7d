"""`python -m lightgpt` is the command `lightgpt`."""

from lightgpt.cli.main import main

if __name__ == "__main__":
    main()
