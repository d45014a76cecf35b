"""`python -m starter.cli` is `claimdesk`."""

from starter.cli import main

main()
