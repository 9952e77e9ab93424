"""The text of a scrape: what processes counted, what is so now, and zeros for what has not happened yet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from image_cloud.metrics import client
from image_cloud.metrics.process_files import Values
from image_cloud.metrics.series import Definition, Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
INFINITE = float("inf")

States = Mapping[Definition, Mapping[Any, float]]
"""The values of definitions that are looked up, by their labels."""
ByLabels = dict[Labels, float]


def text(definitions: Iterable[Definition], counted: Values, states: States) -> bytes:
    """Return all `definitions` in Prometheus' text format; a state that is not known has no series."""
    client.package()
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(list(_families(definitions, _by_name(counted), states))))
    return generate_latest(registry)


class _Collector:
    def __init__(self, families: list[Any]) -> None:
        self._families = families

    def collect(self) -> list[Any]:
        return self._families


def _by_name(counted: Values) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for (name, labels), value in counted.items():
        found.setdefault(name, {})[labels] = value
    return found


def _families(
    definitions: Iterable[Definition],
    counted: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]],
    states: States,
) -> Iterator[Any]:
    from prometheus_client import metrics_core

    for one in definitions:
        if one.kind == "histogram":
            family: Any = metrics_core.HistogramMetricFamily(
                one.full_name, one.help, labels=one.labels
            )
            for labels, (buckets, total) in _histogram(one, counted).items():
                family.add_metric(labels, buckets, total)
        else:
            kind = (
                metrics_core.CounterMetricFamily
                if one.kind == "counter"
                else metrics_core.GaugeMetricFamily
            )
            family = kind(one.full_name, one.help, labels=one.labels)
            for labels, value in _values(one, counted, states).items():
                family.add_metric(labels, value)
        yield family


def _values(
    one: Definition, counted: Mapping[str, Mapping[Any, float]], states: States
) -> Mapping[Labels, float]:
    if one in states:
        return states[one]
    found = _labelled(one, counted.get(one.full_name, {}))
    zeros = dict.fromkeys(one.from_start, 0.0) if one.kind == "counter" else {}
    return {**zeros, **found}


def _labelled(one: Definition, samples: Mapping[Any, float], *further: str) -> ByLabels:
    """Return samples by their labels in the definition's order; others are an older release's."""
    names = (*one.labels, *further)
    wanted = sorted(names)
    found = {}
    for pairs, value in samples.items():
        if [name for name, _ in pairs] == wanted:
            known = dict(pairs)
            found[tuple(known[name] for name in names)] = value
    return found


def _histogram(
    one: Definition, counted: Mapping[str, Mapping[Any, float]]
) -> dict[Labels, tuple[list[tuple[str, float]], float]]:
    """Return for each series its buckets, each with what is in those below it, and its sum."""
    bounds = [*one.buckets, INFINITE]
    sums = _labelled(one, counted.get(f"{one.full_name}_sum", {}))
    found = _labelled(one, counted.get(f"{one.full_name}_bucket", {}), "le")
    inside: dict[Labels, dict[float, float]] = {labels: {} for labels in (*one.from_start, *sums)}
    for labels, value in found.items():
        inside.setdefault(labels[:-1], {})[float(labels[-1])] = value
    return {
        labels: (_accumulated(bounds, values), sums.get(labels, 0.0))
        for labels, values in inside.items()
    }


def _accumulated(bounds: list[float], inside: dict[float, float]) -> list[tuple[str, float]]:
    counts = itertools.accumulate(inside.get(bound, 0.0) for bound in bounds)
    names = ["+Inf" if bound == INFINITE else repr(float(bound)) for bound in bounds]
    return list(zip(names, counts, strict=True))
