"""What Prometheus reads. It counts peers and does not picture them: it is asked for every few seconds."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from tracker.swarm.peer import Tally
from tracker.tracker import Tracker

CONTENT_TYPE = CONTENT_TYPE_LATEST


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """The tracker in numbers: tallies by torrent, requests by front end and kind, the interval in seconds."""

    tallies: dict[str, Tally]
    requests: dict[tuple[str, str], int]
    interval: int

    def collect(self) -> Iterator[Metric]:
        """As prometheus-client has it."""
        peers = GaugeMetricFamily(
            "tracker_peers", "Peers by torrent and status.", labels=("torrent", "status")
        )
        downloads = CounterMetricFamily(
            "tracker_downloads", "Downloads that were completed.", labels=("torrent",)
        )
        for name, tally in self.tallies.items():
            peers.add_metric((name, "seeding"), tally.complete)
            peers.add_metric((name, "leeching"), tally.incomplete)
            downloads.add_metric((name,), tally.downloaded)
        requests = CounterMetricFamily(
            "tracker_requests", "Requests by front end and kind.", labels=("door", "kind")
        )
        for labels, count in self.requests.items():
            requests.add_metric(labels, count)
        torrents = GaugeMetricFamily("tracker_torrents", "Torrents that are published.", len(self.tallies))
        interval = GaugeMetricFamily(
            "tracker_interval_seconds", "Seconds from announce to announce.", self.interval
        )
        yield from (peers, downloads, requests, torrents, interval)


async def take(tracker: Tracker) -> Figures:
    """Count now."""
    tallies = {
        entry.name: await tracker.store.tally(entry.swarm_id) for entry in tracker.allow_list.published
    }
    return Figures(tallies, dict(tracker.counts), await tracker.store.interval())


def render(figures: Figures) -> bytes:
    """The figures and those of the process (CPU, memory, files) in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(figures)
    ProcessCollector(registry=registry)
    return generate_latest(registry)
