"""
The extender's settings: what can be set, and what it means; ``config/extender.yaml`` explains every key.

How a file is read and what is said of a wrong one is the matter of ``extender.settings_file``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from extender import settings_file
from extender.inventory.rules import Rules
from extender.score import Strategy
from extender.settings_file import Log, SettingsError, bounded

VARIABLE = "NUMA_EXTENDER_CONFIG"
"""Environment variable that names the settings file for a program started by gunicorn."""


class Source(StrEnum):
    """Where the inventory comes from."""

    CLUSTER = "cluster"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Listen:
    """The HTTP server."""

    address: str = "127.0.0.1"
    """Address to listen on; empty is that of the environment's POD_IP, else loopback."""
    port: int = bounded(8099, 1, 65_535)
    """TCP port."""
    plain_http: bool = False
    """Whether plain HTTP may be spoken on other addresses than loopback."""
    threads: int = bounded(8, 1, 256)
    """Requests answered at the same time."""
    connections: int = bounded(512, 16, 65_536)
    """Connections held at the same time; more wait to be taken in."""
    request_seconds: int = bounded(10, 1, 600)
    """A request must have arrived as a whole within this time, and its answer must have been taken."""
    keep_alive_seconds: int = bounded(120, 91, 3600)
    """How long an idle connection stays open; the scheduler keeps its own for 90 s and does not retry a POST."""
    drain_seconds: int = bounded(0, 0, 300)
    """How long a stop goes on taking requests, no longer ready, so that callers can turn elsewhere."""
    graceful_seconds: int = bounded(20, 1, 600)
    """How long a stop waits for requests under way."""
    max_body_bytes: int = bounded(64 * 2**20, 2**16, 2**30)
    """Largest request body; with nodeCacheCapable false the scheduler sends whole nodes, about 9 kB each."""


@dataclass(frozen=True, slots=True)
class Tls:
    """HTTPS with certificates on both sides; the files are read anew when they change."""

    certificate_file: str = ""
    """The server's certificate, with its chain, in PEM; empty is plain HTTP."""
    key_file: str = ""
    """Its key, in PEM."""
    client_ca_file: str = ""
    """The authorities, in PEM, that must have signed the certificate of whoever calls."""
    client_names: str = ""
    """Common names or DNS names, with commas between them, of which a caller must have one; empty lets in all."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The API server's questions about Bindings, whoever posts them: a validating webhook on ``pods/binding``."""

    address: str = ""
    """Address to listen on; empty is that of the environment's POD_IP, else loopback."""
    port: int = bounded(0, 0, 65_535)
    """TCP port, with the certificate of section tls; 0: there is no guard."""
    client_ca_file: str = ""
    """The authorities, in PEM, that must have signed the API server's certificate; empty lets in who has none."""
    client_names: str = ""
    """Common names or DNS names, with commas between them, of which a caller must have one; empty lets in all."""


@dataclass(frozen=True, slots=True)
class Health:
    """/healthz, /readyz and /metrics, where they have a door of their own: plain HTTP."""

    address: str = ""
    """Address to listen on; empty is that of the environment's POD_IP, else loopback."""
    port: int = bounded(0, 0, 65_535)
    """TCP port; 0 has them answered where the verbs are."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Where the nodes' reports come from."""

    source: Source = Source.FILES
    """The API server, or files."""
    path: str = ""
    """Of source files: a file or a folder of NodeResourceTopology objects in YAML; empty is the sample inventory."""
    kubeconfig: str = ""
    """Of source cluster: a kubeconfig file; empty is the pod's own service account."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a good placement is: docs/score.md."""

    strategy: Strategy = Strategy.PACK
    """Of all profiles that are not named in ``profiles``."""
    profiles: Mapping[str, Strategy] = field(default_factory=dict)
    """Profile of the scheduler (a pod's ``spec.schedulerName``) to its strategy."""

    def strategy_of(self, profile: str) -> Strategy:
        """Returns the strategy by which pods of a profile are placed."""
        return self.profiles.get(profile, self.strategy)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Questions of people: the page at / and /api/v1."""

    enabled: bool = True
    """Whether they are answered; if not, their paths are not there."""
    address: str = "127.0.0.1"
    """Of a port of their own: address to listen on; other than loopback it takes section tls."""
    port: int = bounded(0, 0, 65_535)
    """TCP port; 0 has them answered where the verbs are."""
    seconds: int = bounded(10, 1, 600)
    """How long one question may be computed."""
    max_body_bytes: int = bounded(2**20, 2**12, 2**26)
    """Largest question."""


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that can be set.

    Raises:
        SettingsError: if a value is out of its range.
    """

    listen: Listen = field(default_factory=Listen)
    tls: Tls = field(default_factory=Tls)
    guard: Guard = field(default_factory=Guard)
    health: Health = field(default_factory=Health)
    inventory: Inventory = field(default_factory=Inventory)
    rules: Rules = field(default_factory=Rules)
    scoring: Scoring = field(default_factory=Scoring)
    what_if: WhatIf = field(default_factory=WhatIf)
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        settings_file.check(self)
        files = self.tls.certificate_file, self.tls.key_file, self.tls.client_ca_file
        if any(files) and not all(files):
            raise SettingsError("tls must name all of certificateFile, keyFile and clientCaFile, or none of them")
        if self.guard.port and not self.tls.certificate_file:
            raise SettingsError("guard.port takes a certificate (section tls): API servers ask by HTTPS only")
        if self.guard.client_names and not self.guard.client_ca_file:
            raise SettingsError(
                "guard.clientNames takes guard.clientCaFile: whose certificates are to have these names"
            )


def load(path: str | Path | None = None) -> Settings:
    """
    Reads a settings file; without one, the file that ``NUMA_EXTENDER_CONFIG`` names; without that, the defaults.

    Raises:
        SettingsError: if the file cannot be read or a setting is wrong.
    """
    path = path or os.environ.get(VARIABLE)
    return settings_file.load(Settings, path) if path else Settings()
