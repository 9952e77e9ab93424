"""Run with `python -m daemons.decoder`."""

from daemons.decoder.main import main

main()
