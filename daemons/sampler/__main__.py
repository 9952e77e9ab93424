"""Run with `python -m daemons.sampler`."""

from daemons.loop import main_alone
from daemons.sampler.sampler import create

main_alone("image-cloud-sampler", create)
