"""Run with `python -m daemons.janitor`."""

from daemons.janitor.janitor import create
from daemons.loop import main

main("image-cloud-janitor", create)
