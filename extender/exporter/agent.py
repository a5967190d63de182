"""
The exporter at work: waits for signs of change, reads, builds, publishes, for as long as the process lives.

One thread does all of that, so nothing needs a lock; the watches and the feeds only leave signs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from extender.exporter.api import Api
from extender.exporter.build import build
from extender.exporter.configz import Read, from_file, from_kubelet, through_api_server
from extender.exporter.feeds import Feed, NodeFeed, PodFeed
from extender.exporter.fingerprint import Method
from extender.exporter.gather import Sources
from extender.exporter.metrics import Metrics
from extender.exporter.observation import Source
from extender.exporter.publish import Publisher
from extender.exporter.settings import ConfigurationSource, Settings
from extender.exporter.watch import Signs, Watcher
from extender.model.report import Report

log = logging.getLogger(__name__)

FIRST_NEWS_SECONDS = 5.0
"""How long the first report waits for the API server to tell the Node and its pods."""
LONGEST_WAIT_SECONDS = 3_600.0
FAULT_SECONDS = 1.0
"""A fault that comes at once again must not fill the log."""
ALIVE_SECONDS = 120.0
"""The loop turns at least this often beyond its resync, or the process is not alive."""


class Agent:
    """One node's exporter."""

    def __init__(
        self,
        sources: Sources,
        publisher: Publisher,
        signs: Signs,
        helpers: Sequence[Feed | Watcher],
        metrics: Metrics,
        resync_seconds: float,
        method: Method = Method.WITH_EXCLUSIVE_RESOURCES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources, self._publisher, self._signs, self._metrics = sources, publisher, signs, metrics
        self._helpers = helpers
        self._resync_seconds, self._method, self._clock = resync_seconds, method, clock
        self._turned = clock()
        self._resync_due = clock()

    def run(self) -> None:
        """Starts what leaves signs, and works until the signs are stopped."""
        for helper in self._helpers:
            helper.start()
        earlier = self._publisher.resume()
        if earlier is not None:
            self._sources.remember(earlier.state.device.reported)
        for helper in self._helpers:
            if isinstance(helper, Feed):
                helper.synced.wait(FIRST_NEWS_SECONDS)
        while not self._signs.stopped:
            self.turn()
        self._sources.close()

    def turn(self) -> None:
        """Waits for the next thing to do, and does it."""
        now = self._clock()
        scan_due = min(self._resync_due, now + self._sources.due_seconds())
        wait = min(scan_due - now, self._publisher.due_seconds())
        change = self._signs.wait(min(wait, LONGEST_WAIT_SECONDS))
        self._turned = now = self._clock()
        try:
            if change is not None and change.kubelet_started:
                self._sources.kubelet_started()
            if change is not None or now >= scan_due:
                self.scan(change.since if change else now)
            self._publisher.publish()
        except Exception:  # a fault of ours must not end the exporter: it tries again
            log.exception("a fault of the exporter")
            time.sleep(FAULT_SECONDS)

    def scan(self, since: float) -> None:
        """Reads everything and says what is to be published."""
        self._resync_due = self._clock() + self._resync_seconds
        if self._sources.without_node:
            self._publisher.want_nothing()
            return
        observation = self._sources.observe()
        built = build(observation, self._method)
        self._metrics.show(built.disagreements, built.report.estimates, len(built.report.warnings))
        self._publisher.want(built.report, observation.api_node, since)

    def is_ready(self) -> bool:
        """Says whether the object has been written since this process started."""
        return self._publisher.has_published

    def is_alive(self) -> bool:
        """Says whether the loop still turns."""
        return self._clock() - self._turned < self._resync_seconds + ALIVE_SECONDS


def agent(settings: Settings, api: Api, metrics: Metrics) -> tuple[Agent, Signs]:
    """Returns an agent, ready to run, and the signs that stop it."""
    places, publish = settings.places, settings.publish
    signs = Signs(publish.quiet_milliseconds / 1000, publish.longest_milliseconds / 1000)
    node_feed = NodeFeed(places.node, api, signs.note, _counting(metrics))
    pod_feed = PodFeed(places.node, api, signs.note, _counting(metrics))
    sources = Sources(places, configurations(settings, api), metrics, node_feed, pod_feed)
    publisher = Publisher(api, places.node, metrics, publish.heartbeat_seconds, touch_node=publish.touch_node)
    helpers = (node_feed, pod_feed, Watcher(places, signs))
    return Agent(sources, publisher, signs, helpers, metrics, publish.resync_seconds, publish.fingerprint), signs


def once(settings: Settings, api: Api | None, metrics: Metrics) -> tuple[Report, Publisher | None]:
    """
    Reads everything once.

    Without an API server the report says what the node itself tells.

    Raises:
        ApiError: the API server does not answer.
    """
    places = settings.places
    if api is None:
        return build(_alone(settings, metrics).observe(), settings.publish.fingerprint).report, None
    publisher = Publisher(api, places.node, metrics, settings.publish.heartbeat_seconds, touch_node=False)
    earlier = publisher.resume()
    node_feed = NodeFeed(places.node, api, _nothing, _counting(metrics))
    pod_feed = PodFeed(places.node, api, _nothing, _counting(metrics))
    node_feed.read_once()
    pod_feed.read_once()
    sources = Sources(places, configurations(settings, api), metrics, node_feed, pod_feed)
    if earlier is not None:
        sources.remember(earlier.state.device.reported)
    report = build(sources.observe(), settings.publish.fingerprint).report
    sources.close()
    publisher.want(report, node_feed.node, time.monotonic())
    return report, publisher


def _alone(settings: Settings, metrics: Metrics) -> Sources:
    return Sources(settings.places, configurations(settings, None), metrics)


def configurations(settings: Settings, api: Api | None) -> list[tuple[Source, Read]]:
    """Returns where the kubelet's configuration may be had; its file stands in for a kubelet that does not tell."""
    kubelet, file = settings.kubelet, from_file(settings.configuration_file)
    stand_in = (Source.STAND_IN, file)
    match kubelet.configuration:
        case ConfigurationSource.FILE:
            return [(Source.CONFIGURATION_FILE, file)]
        case ConfigurationSource.KUBELET:
            read = from_kubelet(settings.configz, Path(kubelet.token_file), kubelet.ca_file, insecure=kubelet.insecure)
            return [(Source.CONFIGZ, read), stand_in]
        case ConfigurationSource.API_SERVER:
            return [(Source.CONFIGZ, through_api_server(api, settings.places.node)), stand_in] if api else [stand_in]


def _counting(metrics: Metrics) -> Callable[[str], None]:
    return lambda path: metrics.interruptions.labels(path).inc()


def _nothing() -> None:
    """Nobody waits for news when everything is read once."""
