"""The samples of config/: they load, they are what they claim to be, and they fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sample_inventory
import yaml

from extender.feeds import ReportReader
from extender.files import objects_in
from extender.fleet import shape_of
from extender.inventory.live import Inventory
from extender.inventory.node import Knowledge
from extender.inventory.rules import Assume
from extender.metrics import Metrics
from extender.settings import Settings, Source, load
from extender.settings_file import SettingsError, options
from extender.wire.pod import pod_from_json

CONFIG = Path(__file__).parent.parent / "config"


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    inventory = Inventory()
    ReportReader(inventory, Metrics(), live=False).replace(objects_in(CONFIG / "inventory"))
    return inventory


@pytest.mark.parametrize("file", list(sample_inventory.files()), ids=lambda file: file.name)
def test_the_samples_are_what_their_machines_make_them(file: Path) -> None:
    """Each made sample is what tests/sample_inventory.py makes today."""
    assert sample_inventory.files()[file] == file.read_text(encoding="utf-8")


def test_every_sample_node_is_known(inventory: Inventory) -> None:
    """All sample nodes are exact, but the one of another exporter, which is estimated."""
    known = {node.name: node.knowledge for node in inventory.all_nodes()}

    assert dict.fromkeys(sample_inventory.SAMPLES, Knowledge.EXACT) | {"foreign-exporter": Knowledge.ESTIMATED} == known


@pytest.mark.parametrize(
    ("pod", "refused"),
    [
        ("database", {"nearly-full"}),
        ("plain", set()),
        ("sidecar", {"foreign-exporter", "sparse-ids"}),
        ("burstable", set()),
        (
            "too-big",
            {
                "huge-pages",
                "memory-only-zone",
                "nearly-full",
                "policy-none",
                "two-zones",
                "two-zones-container-scope",
                "two-zones-restricted",
            },
        ),
    ],
)
def test_every_sample_pod_fits_where_its_file_says(inventory: Inventory, pod: str, refused: set[str]) -> None:
    """The sample pods load, and the nodes that refuse them are these."""
    (document,) = objects_in(CONFIG / "pods" / f"{pod}.yaml")
    document["metadata"]["uid"] = "u"
    asked = pod_from_json(document)
    names = [node.name for node in inventory.all_nodes()]

    assert refused == {name for name in names if not inventory.judge(name, asked, shape_of(asked)).fits}


def test_every_sample_pod_is_tested() -> None:
    """No sample pod is left out of the table above."""
    (mark,) = test_every_sample_pod_fits_where_its_file_says.pytestmark  # type: ignore[attr-defined]

    assert {file.stem for file in (CONFIG / "pods").iterdir()} == {row[0] for row in mark.args[1]}


def test_the_annotated_settings_have_every_key() -> None:
    """config/extender.yaml names every setting, and differs from the defaults only as a cluster wants it."""
    document = yaml.safe_load((CONFIG / "extender.yaml").read_text(encoding="utf-8"))
    keys = {f"{section}.{name}" for section, values in document.items() for name in values}
    here, default = load(CONFIG / "extender.yaml"), Settings()
    changed = {
        key for (key, _, ours), (_, _, theirs) in zip(options(here), options(default), strict=True) if ours != theirs
    }

    assert {key for key, _, _ in options(default)} == keys
    assert changed == {"inventory.source", "rules.assume"}
    assert here.inventory.source is Source.CLUSTER


def test_the_schedulers_configuration_fits_the_extenders() -> None:
    """The scheduler calls where the extender listens, has its verbs, and leaves binding to it as rules.assume says."""
    document = yaml.safe_load((CONFIG / "scheduler.yaml").read_text(encoding="utf-8"))
    (extender,) = document["extenders"]
    settings = load(CONFIG / "extender.yaml")

    assert extender["urlPrefix"] == f"http://{settings.listen.address}:{settings.listen.port}/scheduler"
    assert ("filter", "prioritize", "bind") == tuple(
        extender[f"{verb}Verb"] for verb in ("filter", "prioritize", "bind")
    )
    assert settings.rules.assume is Assume.BIND
    assert extender["nodeCacheCapable"]


def inventory_file(folder: Path, text: str) -> Path:
    file = folder / "objects.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("{kind: A, metadata: {name: a}}", ["a"], id="one document"),
        pytest.param(
            "kind: A\nmetadata: {name: a}\n---\n---\nkind: A\nmetadata: {name: b}\n", ["a", "b"], id="several"
        ),
        pytest.param("kind: List\nitems: [{kind: A, metadata: {name: a}}]\n", ["a"], id="a List"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_objects_are_read_from_files(tmp_path: Path, text: str, names: list[str]) -> None:
    """A file may hold one object, several, a List, or none."""
    assert names == [item["metadata"]["name"] for item in objects_in(inventory_file(tmp_path, text))]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("[", "not YAML", id="no YAML"),
        pytest.param("just text", "'just text' is no Kubernetes object with kind and metadata", id="text"),
        pytest.param("kind: A", "is no Kubernetes object with kind and metadata", id="no metadata"),
        pytest.param("kind: List\nitems: [7]", "'7' is no Kubernetes object", id="a List of numbers"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    """A file that holds something else is named, with what is wrong."""
    file = inventory_file(tmp_path, text)

    with pytest.raises(SettingsError) as caught:
        objects_in(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert sentence in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A path that does not exist is one sentence."""
    with pytest.raises(SettingsError, match="there is no such file or folder"):
        objects_in(tmp_path / "nothing")


def test_a_report_that_cannot_be_read_makes_its_node_unknown(caplog: pytest.LogCaptureFixture) -> None:
    """One bad object is logged with its name and what is wrong, counted, and spoils no other node."""
    inventory, metrics = Inventory(), Metrics()
    good, bad = objects_in(CONFIG / "inventory")[:2]
    broken: dict[str, Any] = {**bad, "zones": [{"name": "zone-0", "type": "Node"}]}
    ReportReader(inventory, metrics, live=False).replace([good, broken])
    name = bad["metadata"]["name"]

    assert {"exact": 0, "estimated": 1, "stale": 0, "unknown": 1} == inventory.count_nodes()
    assert "'zone-0' is not a zone name such as node-0" in inventory.node(name).fault
    assert [name] == [record.node for record in caplog.records]  # type: ignore[attr-defined]
    assert b'unreadable_objects_total{resource="noderesourcetopologies"} 1.0' in metrics.text()
