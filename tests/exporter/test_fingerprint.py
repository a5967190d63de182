"""The pods' fingerprint, equal to the one that other exporters and the scheduler plugins compute."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from extender.exporter.fingerprint import Method, fingerprint, of_listed
from extender.exporter.observation import ListedContainer, ListedPod
from extender.model.state import Block

MODULES = Path(os.environ.get("GOMODCACHE", Path.home() / "go" / "pkg" / "mod"))
PUBLISHED = sorted(MODULES.glob("github.com/k8stopologyawareschedwg/podfingerprint@*/testdata/pods.json"))


def test_no_pods_have_the_published_fingerprint() -> None:
    """The empty set has the value that podfingerprint publishes."""
    assert "pfp0v001ef46db3751d8e999" == fingerprint([])


@pytest.mark.skipif(
    not PUBLISHED, reason="podfingerprint's own pods.json is not in the Go module cache (go mod download fetches it)"
)
def test_published_pods_have_the_published_fingerprint() -> None:
    """The 259 pods of podfingerprint's own test have the value that it expects of them."""
    pods = [(pod["namespace"], pod["name"]) for pod in json.loads(PUBLISHED[-1].read_text())]

    assert 259 == len(pods)
    assert "pfp0v001e477a4e3b2fc0ec6" == fingerprint(pods)


def test_order_does_not_matter() -> None:
    """Pods in any order have one fingerprint."""
    pods = [("default", f"pod-{number}") for number in range(20)]
    shuffled = random.Random(1).sample(pods, len(pods))

    assert fingerprint(pods) == fingerprint(shuffled)


def test_namespace_and_name_are_told_apart() -> None:
    """A pod a/b is not the pod b/a."""
    assert fingerprint([("a", "b")]) != fingerprint([("b", "a")])


COUNTED = [
    pytest.param(ListedPod("n", "p", {"c": ListedContainer(cpus=2)}), True, id="exclusive CPUs"),
    pytest.param(
        ListedPod("n", "p", {"c": ListedContainer(memory=(Block(1, "memory", 1),))}), True, id="pinned memory"
    ),
    pytest.param(
        ListedPod("n", "p", {"c": ListedContainer(memory=(Block(0, "memory", 1),))}), False, id="memory of no zone"
    ),
    pytest.param(
        ListedPod("n", "p", {"c": ListedContainer(devices={"v/x": frozenset("a")}, near=1)}),
        True,
        id="a device near a zone",
    ),
    pytest.param(
        ListedPod("n", "p", {"c": ListedContainer(devices={"v/x": frozenset("a")})}), False, id="a device near none"
    ),
    pytest.param(ListedPod("n", "p", {"c": ListedContainer()}, cpus=6), True, id="a pod-level allocation alone"),
    pytest.param(ListedPod("n", "p", {"c": ListedContainer()}), False, id="nothing exclusive"),
]


@pytest.mark.parametrize(("pod", "counts"), COUNTED)
def test_only_pods_with_exclusive_resources_count_by_default(pod: ListedPod, *, counts: bool) -> None:
    """Method with-exclusive-resources leaves out pods that have nothing of their own; method all counts every pod."""
    alone = fingerprint([("n", "p")])

    assert (alone if counts else fingerprint([])) == of_listed([pod], Method.WITH_EXCLUSIVE_RESOURCES)
    assert alone == of_listed([pod], Method.ALL)
