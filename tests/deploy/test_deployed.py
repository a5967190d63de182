"""What the manifests say fits the programs: settings, metrics, alerts, and each other."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from extender.doors import Subject, doors
from extender.entrance import GUARD as ENTRY
from extender.exporter.metrics import Metrics as ExporterMetrics
from extender.exporter.settings import Settings as ExporterSettings
from extender.guard import LOOKS, PAUSE_SECONDS
from extender.inventory.rules import Assume
from extender.metrics import Metrics
from extender.settings import Guard, Settings, load
from extender.settings_file import load as load_file

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
EXTENDERS = {
    "secondary-scheduler": "overlays/secondary-scheduler/{}.yaml",
    "existing-scheduler": "overlays/existing-scheduler/host/{}.yaml",
    "service": "overlays/service/{}.yaml",
}
SCHEDULERS = EXTENDERS | {"service": "overlays/service/host/{}.yaml"}
PODS = (
    "base/exporter.yaml",
    "overlays/secondary-scheduler/scheduler-deployment.yaml",
    "overlays/existing-scheduler/host/kube-scheduler+strategic.yaml",
    "overlays/service/extender-deployment.yaml",
)
GUARD = DEPLOY / "components" / "guard"
MONITORING = DEPLOY / "components" / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]["groups"]
    for rule in group["rules"]
]
PANELS = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]


def extender_settings(overlay: str) -> Settings:
    return load(DEPLOY / EXTENDERS[overlay].format("extender"))


def scheduler_configuration(overlay: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / SCHEDULERS[overlay].format("scheduler")).read_text()))


def scheduler_section(overlay: str) -> dict[str, Any]:
    (section,) = scheduler_configuration(overlay)["extenders"]
    return dict(section)


@pytest.mark.parametrize("overlay", list(EXTENDERS))
def test_settings_and_scheduler_agree(overlay: str) -> None:
    """The scheduler asks where the extender's verbs are, in TLS where that is spoken, and binds as the extender assumes."""
    settings, section = extender_settings(overlay), scheduler_section(overlay)
    (door,) = [door for door in doors(settings) if Subject.VERBS in door.subjects]
    scheme, _, rest = section["urlPrefix"].partition("://")

    assert f":{door.port}/scheduler" in rest
    assert 2 * (bool(door.tls),) == (scheme == "https", section.get("enableHTTPS", False))
    assert (settings.rules.assume is Assume.BIND) is ("bindVerb" in section)
    assert section["nodeCacheCapable"] is True
    assert not door.tls or {"caFile", "certFile", "keyFile"} == set(section["tlsConfig"])


@pytest.mark.parametrize("overlay", list(EXTENDERS))
def test_people_and_schedulers_have_doors_of_their_own(overlay: str) -> None:
    """Neither the port that people forward nor the one that is scraped leads to the verbs; people's is at loopback."""
    verbs, health, what_if = doors(extender_settings(overlay))

    assert [{Subject.VERBS}, {Subject.HEALTH}, {Subject.WHAT_IF}] == [set(d.subjects) for d in (verbs, health, what_if)]
    assert "127.0.0.1" == what_if.address


def test_the_guard_adds_its_door_and_nothing_else() -> None:
    """With the component the overlay's settings are the same but for a door with the guard alone, off loopback in TLS."""
    settings = load(GUARD / "extender.yaml")
    (door,) = [door for door in doors(settings) if Subject.GUARD in door.subjects]

    assert extender_settings("service") == replace(settings, guard=Guard())
    assert ({Subject.GUARD}, True, "") == (set(door.subjects), bool(door.tls), settings.guard.address)


def test_the_webhook_leads_to_the_guard() -> None:
    """
    Path, port and Service are the guard's, every way of binding is asked about, and a dry run is known; what the
    extender waits for itself is left out: its own Bindings and those of the namespaces that keep the cluster alive.
    """
    (webhook,) = yaml.safe_load((GUARD / "webhook.yaml").read_text())["webhooks"]
    service = yaml.safe_load((DEPLOY / "overlays" / "service" / "service.yaml").read_text())
    account = next(yaml.safe_load_all((DEPLOY / "overlays" / "service" / "account.yaml").read_text()))
    port = load(GUARD / "extender.yaml").guard.port
    patches = [one["patch"] for one in yaml.safe_load((GUARD / "kustomization.yaml").read_text())["patches"]]
    (policy,) = yaml.safe_load((GUARD / "network.yaml").read_text())["spec"]["ingress"]

    assert {"namespace": "numa-system", "name": service["metadata"]["name"], "port": port, "path": ENTRY} == (
        webhook["clientConfig"]["service"]
    )
    assert [{"port": port}] == policy["ports"]
    assert all(f"ort: {port}" in patch for patch in patches)
    (rule,) = webhook["rules"]
    assert ({"pods/binding", "bindings"}, ["CREATE"]) == (set(rule["resources"]), rule["operations"])
    assert ("NoneOnDryRun", "Ignore") == (webhook["sideEffects"], webhook["failurePolicy"])
    assert LOOKS * PAUSE_SECONDS * 2 < webhook["timeoutSeconds"]
    (left_out,) = webhook["namespaceSelector"]["matchExpressions"]
    assert ("NotIn", ["kube-system", "numa-system"]) == (left_out["operator"], left_out["values"])
    (condition,) = webhook["matchConditions"]
    assert f'!= "system:serviceaccount:numa-system:{account["metadata"]["name"]}"' in condition["expression"]


@pytest.mark.parametrize("overlay", list(EXTENDERS))
def test_the_section_is_the_one_that_is_explained(overlay: str) -> None:
    """Apart from the way to it, each overlay's section is that of config/scheduler.yaml, and so is how fast it asks."""
    whole = yaml.safe_load((ROOT / "config" / "scheduler.yaml").read_text())
    (explained,) = whole["extenders"]
    way = {"urlPrefix", "enableHTTPS", "tlsConfig"}

    assert {k: v for k, v in explained.items() if k not in way} == {
        k: v for k, v in scheduler_section(overlay).items() if k not in way
    }
    here = scheduler_configuration(overlay)
    assert whole["percentageOfNodesToScore"] == here["percentageOfNodesToScore"]
    assert {"qps", "burst"} <= here["clientConnection"].keys()
    assert whole["clientConnection"] | here["clientConnection"] == whole["clientConnection"]


def test_the_exporters_settings_are_read() -> None:
    """The exporter's ConfigMap is a file that the exporter takes; it beats twice before it is called stale."""
    settings = load_file(ExporterSettings, DEPLOY / "base" / "exporter-settings.yaml")

    assert settings.publish.heartbeat_seconds * 2 < extender_settings("secondary-scheduler").rules.stale_seconds


def known_metrics() -> dict[str, set[str]]:
    """Each metric that the programs have, with its labels, named as Prometheus names its series."""
    known: dict[str, set[str]] = {"numa_extender_nodes": {"knowledge"}, "numa_extender_pods": {"standing"}}
    for metrics in (Metrics(), ExporterMetrics()):
        for one in vars(metrics).values():
            if hasattr(one, "_labelnames"):
                ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}[one._type]
                for end in ends:
                    known[one._name + end] = set(one._labelnames) | ({"le"} if end == "_bucket" else set())
    return known


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_alerts_and_panels_ask_for_what_there_is(expression: str) -> None:
    """Each metric of an expression exists, and has the labels that the expression filters and groups by."""
    known = known_metrics()
    asked = re.findall(r"\b(numa_[a-z_]+)(?:\{([^}]*)\})?", expression)
    labels = set().union(*(known[name] for name, _ in asked)) | {"node"}
    grouped = {word for words in re.findall(r"\bby \(([^)]*)\)", expression) for word in re.split(r", *", words)}

    assert asked
    assert grouped <= labels
    for name, filters in asked:
        assert set(re.findall(r"(\w+)\s*(?:=|!=|=~)", filters)) <= known[name]


def test_every_metric_has_a_panel() -> None:
    """The dashboard shows each metric of the extender and of the exporter."""
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])

    assert set() == {
        name
        for name in known_metrics()
        if not name.endswith(("_sum", "_count")) and not re.search(rf"\b{name}\b", shown) and "timestamp" not in name
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_alert_is_explained(rule: dict[str, Any]) -> None:
    """docs/troubleshooting.md has a section for each alert."""
    assert f"`{rule['alert']}`" in (ROOT / "docs" / "troubleshooting.md").read_text()


@pytest.mark.parametrize(
    ("service", "port", "there"),
    [
        (
            "numa-extender-metrics",
            9447,
            {"overlays/secondary-scheduler/scheduler-deployment.yaml", "overlays/service/extender-deployment.yaml"},
        ),
        ("numa-exporter-metrics", 9448, {"base/exporter.yaml"}),
    ],
)
def test_services_lead_to_the_pods_that_have_the_metrics(service: str, port: int, there: set[str]) -> None:
    """Each Service selects the pods whose container has its port, and no other."""
    services = yaml.safe_load_all((MONITORING / "services.yaml").read_text())
    (spec,) = [one["spec"] for one in services if one["metadata"]["name"] == service]
    selected = set()
    for file in PODS:
        item = yaml.safe_load((DEPLOY / file).read_text())
        template = item if item["kind"] == "Pod" else item["spec"]["template"]
        if spec["selector"].items() <= template["metadata"].get("labels", {}).items():
            selected.add(file)

    assert there == selected
    assert [port] == [one["port"] for one in spec["ports"]]


def containers() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each container of ours in the manifests, with its pod."""
    found = []
    for file in PODS:
        item = yaml.safe_load((DEPLOY / file).read_text())
        spec = item["spec"] if item["kind"] == "Pod" else item["spec"]["template"]["spec"]
        found += [
            (f"{file} {one['name']}", one, spec)
            for one in [*spec.get("initContainers", []), *spec["containers"]]
            if one.get("image", "").startswith("numa-")
        ]
    return found


@pytest.mark.parametrize(
    ("name", "container", "pod"), containers(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_containers_are_confined(name: str, container: dict[str, Any], pod: dict[str, Any]) -> None:
    """No capability, no way to more, a read-only root, a user that is not root but for the exporter, limits, and probes."""
    context = pod.get("securityContext", {}) | container["securityContext"]

    assert {"drop": ["ALL"]} == context["capabilities"]
    assert (False, True) == (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"])
    assert (context["runAsUser"] == 0) is ("exporter" in name)
    assert "memory" in container["resources"]["limits"]
    assert "livenessProbe" in container
    assert all(mount.get("readOnly") or "scratch" in mount["name"] for mount in container["volumeMounts"])
