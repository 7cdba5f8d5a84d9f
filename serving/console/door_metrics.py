"""What doors that are processes of their own have counted, as Prometheus metrics read at the moment of the scrape."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.doors.counters import read_counters
from serving.doors.ports import read_ports


class DoorCollector(Collector):
    """Offers the doors' counters to a CollectorRegistry; they begin at 0 where a door starts anew."""

    def __init__(self, state_dir: Path, doors: Sequence[str]) -> None:
        """Read what `doors` of the tier in `state_dir` state."""
        self._state_dir, self._doors = state_dir, tuple(doors)

    def collect(self) -> Iterable[Metric]:
        """Return all metrics, at most half a second old."""
        listens = GaugeMetricFamily("ringcraft_door_open", "1 while the door listens.", labels=["door"])
        came = CounterMetricFamily("ringcraft_door_requests", "Calls and messages, refused or not.", labels=["door"])
        failed = CounterMetricFamily(
            "ringcraft_door_failed", "Of them, bad ones and those that no worker answered.", labels=["door"]
        )
        refused = CounterMetricFamily(
            "ringcraft_door_refused", "Of them, refused by key, scope, rate or limit.", labels=["door", "why"]
        )
        missed = CounterMetricFamily(
            "ringcraft_door_missed_decisions", "Decisions that subscribers were told to have missed.", labels=["door"]
        )
        for door in self._doors:
            listens.add_metric([door], float(bool(read_ports(self._state_dir, door))))
            counted = read_counters(self._state_dir, door)
            if counted is None:
                continue
            came.add_metric([door], counted.requests)
            failed.add_metric([door], counted.failed)
            missed.add_metric([door], counted.missed)
            for why, count in counted.refused.items():
                refused.add_metric([door, why], count)
        return (listens, came, failed, refused, missed)
