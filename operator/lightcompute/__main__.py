"""`python -m lightcompute` is `lightcompute`."""

from lightcompute.cli.main import main

if __name__ == "__main__":
    main()
