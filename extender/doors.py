"""
Where the extender listens, and what is answered at each of these doors.

Everything but the guard is behind one door unless the settings give what-if or health a port of their own. The
scheduler's verbs and what-if leave the machine in TLS only, unless somebody asks for plain HTTP in so many words.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, replace
from enum import StrEnum

from extender.settings import Settings, Tls
from extender.settings_file import SettingsError

POD_IP = "POD_IP"
"""Environment variable with the pod's address, filled from status.podIP."""
LOOPBACK = "127.0.0.1"


class Subject(StrEnum):
    """What can be asked."""

    VERBS = "verbs"
    """/scheduler/..."""
    HEALTH = "health"
    """/healthz, /readyz and /metrics."""
    WHAT_IF = "what-if"
    """The page and /api/v1."""
    GUARD = "guard"
    """/guard, at a door of its own only: the API server has other certificates than schedulers, or none."""


@dataclass(frozen=True, slots=True)
class Door:
    """An address to listen on."""

    address: str
    port: int
    tls: Tls | None
    """The certificate shown here, and those that are asked for; None is plain HTTP."""
    subjects: frozenset[Subject]
    section: str = "tls"
    """Of the settings: where it says who is let in."""

    @property
    def bind(self) -> str:
        """The door as gunicorn takes it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def doors(settings: Settings) -> tuple[Door, ...]:
    """
    Returns the doors that settings ask for, the scheduler's first.

    Raises:
        SettingsError: if one of them would carry to other machines, unprotected, what should not be.
    """
    listen, health, what_if, guard = settings.listen, settings.health, settings.what_if, settings.guard
    tls = settings.tls if settings.tls.certificate_file else None
    apart = {subject for subject, port in ((Subject.HEALTH, health.port), (Subject.WHAT_IF, what_if.port)) if port}
    made = [Door(_host(listen.address), listen.port, tls, frozenset(Subject) - apart - {Subject.GUARD})]
    if health.port:
        made.append(Door(_host(health.address), health.port, None, frozenset({Subject.HEALTH})))
    if what_if.enabled and what_if.port:
        host = _host(what_if.address)
        made.append(Door(host, what_if.port, None if _is_loopback(host) else tls, frozenset({Subject.WHAT_IF})))
    if guard.port:
        known = replace(settings.tls, client_ca_file=guard.client_ca_file, client_names=guard.client_names)
        made.append(Door(_host(guard.address), guard.port, known, frozenset({Subject.GUARD}), "guard"))
    _check(made, settings)
    return tuple(made)


def _check(made: list[Door], settings: Settings) -> None:
    ports = [door.port for door in made]
    twice = next((port for port in ports if ports.count(port) > 1), None)
    if twice is not None:
        raise SettingsError(
            f"listen.port, guard.port, health.port and whatIf.port must differ, not be {twice} twice (0 shares, or is off)"
        )
    for door in made:
        key = "listen" if Subject.VERBS in door.subjects else "whatIf"
        bare = not door.tls and not _is_loopback(door.address) and not door.subjects <= {Subject.HEALTH}
        if bare and not settings.listen.plain_http:
            raise SettingsError(
                f"{key}.address {door.address} can be reached from other machines: give a certificate (section tls), "
                "or set listen.plainHttp to true"
            )


def _host(address: str) -> str:
    """An address; an empty one is the pod's own, outside of pods loopback."""
    return address or os.environ.get(POD_IP) or LOOPBACK


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
