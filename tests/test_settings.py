"""Settings: read, checked, and refused with one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from extender.inventory.rules import Assume, Rules
from extender.settings import Settings, Source, load
from extender.settings_file import SettingsError, options, read


def test_no_file_means_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file, and with an empty one, every setting has its default."""
    monkeypatch.delenv("NUMA_EXTENDER_CONFIG", raising=False)

    assert Settings() == load() == read(Settings, None) == read(Settings, {})


def test_a_file_changes_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that the environment names is read; what it leaves out keeps its default."""
    file = tmp_path / "extender.yaml"
    file.write_text("inventory: {source: cluster}\nrules: {assume: bind, staleSeconds: 30}\n")
    monkeypatch.setenv("NUMA_EXTENDER_CONFIG", str(file))
    settings = load()

    assert (Source.CLUSTER, Assume.BIND, 30) == (
        settings.inventory.source,
        settings.rules.assume,
        settings.rules.stale_seconds,
    )
    assert Settings().listen == settings.listen


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param(
            [1],
            "the file must be a mapping with keys listen, tls, guard, health, inventory, rules, scoring, whatIf, log, not [1]",
            id="a list",
        ),
        pytest.param(
            {"port": 1},
            "port is not a setting; allowed here: listen, tls, guard, health, inventory, rules, scoring, whatIf, log",
            id="no section",
        ),
        pytest.param(
            {"log": {"colour": "red"}}, "log.colour is not a setting; allowed here: format, level", id="unknown key"
        ),
        pytest.param({"log": None}, "log must be a mapping with keys format, level, not None", id="an empty section"),
        pytest.param(
            {"listen": {"port": "80"}}, "listen.port must be a whole number, not '80'", id="text for a number"
        ),
        pytest.param(
            {"listen": {"port": True}}, "listen.port must be a whole number, not True", id="truth for a number"
        ),
        pytest.param({"listen": {"port": 0}}, "listen.port must be from 1 to 65535, not 0", id="out of range"),
        pytest.param(
            {"listen": {"keepAliveSeconds": 60}},
            "listen.keepAliveSeconds must be from 91 to 3600, not 60",
            id="a keep-alive shorter than the scheduler's",
        ),
        pytest.param({"inventory": {"path": 7}}, "inventory.path must be text, not 7", id="a number for text"),
        pytest.param(
            {"rules": {"unknownNodes": "maybe"}},
            "rules.unknownNodes must be one of pass, refuse, not 'maybe'",
            id="not a choice",
        ),
        pytest.param(
            {"scoring": {"profiles": "spread"}},
            "scoring.profiles must be a mapping of names, not 'spread'",
            id="a text for a mapping",
        ),
        pytest.param(
            {"scoring": {"profiles": {1: "spread"}}},
            "scoring.profiles must be a mapping of names, and 1 is none",
            id="a number for a name",
        ),
        pytest.param(
            {"scoring": {"profiles": {"batch": "most"}}},
            "scoring.profiles.batch must be one of pack, spread, balanced, not 'most'",
            id="not a choice, by name",
        ),
        pytest.param(
            {"guard": {"port": 8444}},
            "guard.port takes a certificate (section tls): API servers ask by HTTPS only",
            id="a guard in plain HTTP",
        ),
        pytest.param(
            {
                "tls": {"certificateFile": "a", "keyFile": "b", "clientCaFile": "c"},
                "guard": {"port": 8444, "clientNames": "kube-apiserver"},
            },
            "guard.clientNames takes guard.clientCaFile: whose certificates are to have these names",
            id="names without an authority",
        ),
    ],
)
def test_what_is_wrong_is_named(document: Any, sentence: str) -> None:
    """A wrong setting is refused with its key, its value and what is allowed."""
    with pytest.raises(SettingsError) as caught:
        read(Settings, document)

    assert sentence == str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"listen: [", "not YAML", id="no YAML"),
        pytest.param(b"\xff\xfe", "not YAML", id="no text"),
        pytest.param(b"listen: {port: 0}", "listen.port must be from 1 to 65535", id="a wrong setting"),
        pytest.param(None, "No such file or directory", id="no file"),
    ],
)
def test_the_file_is_named_too(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    """Whatever is wrong with a settings file, the sentence begins with the file and is one line."""
    file = tmp_path / "settings.yaml"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        load(file)

    assert str(caught.value).startswith(f"{file}: {sentence}"), caught.value
    assert "\n" not in str(caught.value)


def test_ranges_hold_however_settings_are_made() -> None:
    """Settings that were not read from a file are checked as well."""
    with pytest.raises(SettingsError, match=r"^rules\.staleSeconds must be from 5 to 86400, not 1$"):
        Settings(rules=Rules(stale_seconds=1))


def test_every_default_can_be_written_in_a_file() -> None:
    """A file that spells all defaults out means the same as none."""
    document: dict[str, dict[str, Any]] = {}
    for key, _, value in options(Settings()):
        section, _, name = key.partition(".")
        document.setdefault(section, {})[name] = str(value) if isinstance(value, str) else value

    assert Settings() == read(Settings, document)
