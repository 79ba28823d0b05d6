"""`python -m fabricbo` is the command `fabricbo`."""

from fabricbo.cli import main

main()
