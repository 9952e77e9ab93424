"""Run with `python -m daemons.peer_clone`."""

from daemons.loop import main
from daemons.peer_clone.peer_clone import create

main("image-cloud-peer-clone", create)
