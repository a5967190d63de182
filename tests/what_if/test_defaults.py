"""What the API server makes of a pod."""

from __future__ import annotations

from typing import Any

import pytest
from what_if_nodes import container, pod_json

from extender.model.pod import Pod, QoS
from extender.what_if.defaults import InvalidPodError, as_stored
from extender.wire.manifests import asked_from_json


def stored(document: dict[str, Any]) -> Pod:
    (asked,) = asked_from_json([document])
    return as_stored(asked.pod)


def shown(pod: Pod, section: str) -> dict[str, str]:
    assert pod.resources is not None
    return {name: str(amount) for name, amount in getattr(pod.resources, section).items()}


def test_requests_are_the_limits_where_there_are_none() -> None:
    """A container that only limits is guaranteed (SetDefaults_Pod)."""
    pod = stored(pod_json("p", container(cpu="2", memory="1Gi")))

    assert {"cpu": "2", "memory": "1Gi"} == {
        name: str(amount) for name, amount in pod.containers[0].resources.requests.items()
    }
    assert QoS.GUARANTEED is pod.qos


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        pytest.param("1000m", "1", id="thousandths become whole"),
        pytest.param("0.1", "100m", id="fractions become thousandths"),
        pytest.param("1.9999999", "2", id="finer than thousandths is rounded up"),
        pytest.param("2e0", "2", id="exponents go"),
    ],
)
def test_amounts_are_rewritten(written: str, kept: str) -> None:
    """The API server stores an amount in its canonical form (SetDefaults_ResourceList)."""
    pod = stored(pod_json("p", container(cpu=written)))

    assert kept == str(pod.containers[0].resources.limits["cpu"])


def test_a_fraction_of_gibibytes_is_a_whole_number_once_stored() -> None:
    """1.5Gi is no 64-bit integer as written and is one as stored, which the memory manager asks for."""
    pod = stored(pod_json("p", container(memory="1.5Gi")))

    assert 1536 << 20 == pod.containers[0].resources.requests["memory"].as_int64


@pytest.mark.parametrize(
    ("budget", "containers", "requests", "limits", "qos"),
    [
        pytest.param(
            {"limits": {"cpu": "8", "memory": "16Gi"}},
            [{"name": "a"}],
            {"cpu": "8", "memory": "16Gi"},
            {"cpu": "8", "memory": "16Gi"},
            QoS.GUARANTEED,
            id="without requests of containers they are the limits",
        ),
        pytest.param(
            {"limits": {"cpu": "8", "memory": "16Gi"}},
            [container("a", "6", "12Gi"), {"name": "b"}],
            {"cpu": "6", "memory": "12Gi"},
            {"cpu": "8", "memory": "16Gi"},
            QoS.BURSTABLE,
            id="requests are the containers' together, which makes the pod burstable",
        ),
        pytest.param(
            {"requests": {"cpu": "8"}},
            [container("a", "2", "1Gi"), container("b", "3", "1Gi")],
            {"cpu": "8", "memory": "2Gi"},
            {"cpu": "8", "memory": "2Gi"},
            QoS.GUARANTEED,
            id="limits are the larger of requests and the containers' limits, if all have one",
        ),
        pytest.param(
            {"requests": {"cpu": "8"}},
            [container("a", "2", "1Gi"), {"name": "b"}],
            {"cpu": "8", "memory": "1Gi"},
            {},
            QoS.BURSTABLE,
            id="no limit where one container has none",
        ),
        pytest.param(
            {"requests": {"cpu": "8", "memory": "16Gi"}, "limits": {"cpu": "8", "memory": "16Gi"}},
            [container("a", "2", "1Gi", **{"hugepages-2Mi": "4Mi"}), {"name": "b"}],
            {"cpu": "8", "memory": "16Gi", "hugepages-2Mi": "4Mi"},
            {"cpu": "8", "memory": "16Gi", "hugepages-2Mi": "4Mi"},
            QoS.GUARANTEED,
            id="hugepages are the containers' together",
        ),
        pytest.param({}, [container()], {}, {}, QoS.GUARANTEED, id="an empty budget stays empty and does not count"),
    ],
)
def test_a_budget_is_filled_in(
    budget: dict[str, Any], containers: list[Any], requests: dict[str, str], limits: dict[str, str], qos: QoS
) -> None:
    """Pod-level resources get the defaults of 1.37 (DefaultPodLevelResources)."""
    pod = stored(pod_json("p", *containers, budget=budget))

    assert requests == shown(pod, "requests")
    assert limits == shown(pod, "limits")
    assert qos is pod.qos


def test_init_containers_count_in_the_order_in_which_they_run() -> None:
    """What containers ask for together is the larger of the init phase and what runs on (AggregateContainerRequests)."""
    init = [
        {**container("first", "3", "1Gi")},
        {**container("side", "2", "1Gi"), "restartPolicy": "Always"},
        {**container("second", "6", "1Gi")},
    ]
    pod = stored(pod_json("p", container("app", "4", "1Gi"), init=init, budget={"limits": {"cpu": "20"}}))

    assert "8" == shown(pod, "requests")["cpu"]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param(
            pod_json("p", {"name": "a", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}),
            "resources of container 'a': requests.cpu of 2 is more than its limit of 1",
            id="request above limit",
        ),
        pytest.param(
            pod_json("p", {"name": "a", "resources": {"requests": {"vendor.com/gpu": "1"}}}),
            "resources of container 'a': requests.vendor.com/gpu of 1 needs a limit of the same amount",
            id="device without limit",
        ),
        pytest.param(
            pod_json("p", container("a", **{"vendor.com/gpu": "500m"})),
            "resources of container 'a': limits.vendor.com/gpu of 500m must be a whole number",
            id="half a device",
        ),
        pytest.param(
            pod_json("p", container("a", cpu="-1")),
            "resources of container 'a': limits.cpu of -1 is below zero or more than a kubelet can count",
            id="below zero",
        ),
        pytest.param(
            pod_json("p", {"name": "a", "resources": {"limits": {"hugepages-2Mi": "2Mi"}}}),
            "resources of container 'a': hugepages need cpu or memory beside them",
            id="only hugepages",
        ),
        pytest.param(
            pod_json("p", container("a", **{"hugepages-2Mi": "3Mi"})),
            "resources of container 'a': limits.hugepages-2Mi of 3Mi is no multiple of the size of a page",
            id="part of a page",
        ),
        pytest.param(
            pod_json("p", container("a", "6", "1Gi"), budget={"requests": {"cpu": "4"}, "limits": {"cpu": "8"}}),
            "spec.resources: requests.cpu of 4 is less than the 6 of its containers together",
            id="budget smaller than its containers",
        ),
        pytest.param(
            pod_json("p", {"name": "a"}, budget={"limits": {"vendor.com/gpu": "1"}}),
            "spec.resources: 'vendor.com/gpu' is not one of cpu, memory and hugepages, which pods can have",
            id="devices in a budget",
        ),
        pytest.param(
            pod_json("p", container("a", gpu="1")),
            "resources of container 'a': limits.gpu: 'gpu' is not a resource that containers have",
            id="unknown resource",
        ),
    ],
)
def test_what_an_api_server_refuses_is_said(document: dict[str, Any], sentence: str) -> None:
    """An invalid pod gets one sentence with field and value, not a verdict."""
    with pytest.raises(InvalidPodError) as wrong:
        stored(document)

    assert sentence == str(wrong.value)


def test_a_stored_pod_stays_as_it_is() -> None:
    """Storing twice changes nothing."""
    once = stored(pod_json("p", container("a", "6", "12Gi"), {"name": "b"}, budget={"limits": {"cpu": "8"}}))

    assert once == as_stored(once)
