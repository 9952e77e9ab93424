"""What supervisord of ours does beyond others'; it has no part of Image Cloud but this folder."""

from __future__ import annotations

from typing import Any

from supervisor import events

from image_cloud.supervision.kept_sockets import KeptSockets
from image_cloud.supervision.lossy_logs import lose_what_cannot_be_written
from image_cloud.supervision.orphans import end_group


def make(supervisord: Any, **_options: Any) -> object:
    """Do what supervisord's section [rpcinterface:image_cloud] asks for; there is nothing to call in it."""
    lose_what_cannot_be_written()
    events.subscribe(events.ProcessStateExitedEvent, lambda event: end_group(event.process))
    events.subscribe(events.ProcessStateBackoffEvent, lambda event: end_group(event.process))
    _keep_sockets(KeptSockets(supervisord.process_groups))
    return object()


def _keep_sockets(kept: KeptSockets) -> None:
    kept.look()
    events.subscribe(events.Tick5Event, lambda _event: kept.look())
    events.subscribe(events.ProcessStateStartingEvent, lambda _event: kept.look())
    events.subscribe(events.ProcessStateRunningEvent, lambda _event: kept.look())
    events.subscribe(events.ProcessGroupRemovedEvent, lambda event: kept.drop(event.group))
