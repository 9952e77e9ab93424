"""Run with `python -m daemons.prefetch`."""

from daemons.loop import main
from daemons.prefetch.dispatcher import create

main("image-cloud-prefetch", create)
