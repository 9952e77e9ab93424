"""This node's metrics as Prometheus reads them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from image_cloud.cluster.peer_states import PeerStates
from image_cloud.config.sections import Pools
from image_cloud.decoding.client import Decoder
from image_cloud.metrics import client, definitions, exposition
from image_cloud.metrics.exposition import States
from image_cloud.metrics.process_files import ProcessFiles
from image_cloud.politeness.overview import Overview
from image_cloud.storage.guard.guarded import Guard
from image_cloud.supervision.metrics.busy import busy
from image_cloud.supervision.metrics.domains import domains
from image_cloud.supervision.metrics.machine import machine
from image_cloud.supervision.metrics.peers import peers
from image_cloud.supervision.readiness import Readiness


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a scrape looks at; `run` is the folder of sockets and counters."""

    storage: Path
    guard: Guard
    run: Path
    readiness: Readiness
    decoder: Decoder
    pools: Pools
    domains: Overview
    peers: PeerStates


class NodeMetrics:
    """Answers scrapes; for any number of threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._files = ProcessFiles(client.folder_of(parts.run))

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return exposition.text(definitions.all_definitions(), self._files.values(), self._states())

    def _states(self) -> States:
        parts = self._parts
        return {
            **machine(parts.storage, parts.guard, parts.run, parts.readiness),
            **busy(parts.storage, parts.guard, parts.decoder, parts.pools),
            **domains(parts.domains),
            **peers(parts.peers),
        }
