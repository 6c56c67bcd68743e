"""`python -m cria` is the command `cria`."""

from cria.cli import main

if __name__ == "__main__":
    main()
