"""
The extender's certificate and whom it trusts, read anew when their files change, so that nothing restarts for it.

What cannot be read, such as a certificate whose key has not been written yet, leaves the last good one in use; the
log and a metric say so. Connections made under an older state are ended by the server after their next answer.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from extender.settings import Tls
from extender.settings_file import SettingsError

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Files are looked at no more often than this."""

Signs = tuple[tuple[int, int, int], ...]


class Certificates:
    """The files of one door; safe for threads."""

    def __init__(
        self,
        tls: Tls,
        counted: Callable[[str], None] = lambda _result: None,
        clock: Callable[[], float] = time.monotonic,
        section: str = "tls",
    ) -> None:
        """
        Reads the files.

        Args:
            tls: names them; without ``client_ca_file`` nobody is asked for a certificate.
            counted: is told "ok" or "failed" of each reading.
            clock: for the pause between two looks.
            section: of the settings, where it says who is let in.

        Raises:
            SettingsError: if they cannot be used.
        """
        self.section = section
        self._tls, self._counted, self._clock = tls, counted, clock
        self._files = [Path(file) for file in (tls.certificate_file, tls.key_file, tls.client_ca_file) if file]
        self._lock = threading.Lock()
        self._signs = self._look()
        self._looked_at = clock()
        try:
            self._context = self._read()
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"{section}: {_sentence(error, self._files)}") from None
        counted("ok")

    @property
    def context(self) -> ssl.SSLContext:
        """What the files say now; the same object for as long as they stay."""
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_SECONDS:
                self._looked_at = self._clock()
                self._renew()
            return self._context

    def is_stranger(self, certificate: Mapping[str, object] | None) -> bool:
        """Whether a client's certificate, as ``getpeercert`` tells it, has none of the names that are let in."""
        allowed = {name.strip() for name in self._tls.client_names.split(",") if name.strip()}
        return bool(allowed) and not allowed & set(_names(certificate or {}))

    def _renew(self) -> None:
        signs = self._look()
        if signs == self._signs:
            return
        try:
            self._context = self._read()
        except (OSError, ssl.SSLError) as error:
            self._counted("failed")
            log.warning("the certificate stays as it was", extra={"why": _sentence(error, self._files)})
            return
        self._signs = signs
        self._counted("ok")
        log.info("the certificate was read anew", extra={"file": self._tls.certificate_file})

    def _look(self) -> Signs:
        """What would change with the files; links are followed, as a mounted Secret changes by one."""
        return tuple(_sign(file) for file in self._files)

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._tls.certificate_file, self._tls.key_file)
        if self._tls.client_ca_file:
            context.load_verify_locations(self._tls.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _sign(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size


def _names(certificate: Mapping[str, object]) -> Iterable[str]:
    """The common name and the DNS names of a certificate."""
    subject = certificate.get("subject")
    for part in subject if isinstance(subject, tuple) else ():
        yield from (value for key, value in part if key == "commonName")
    others = certificate.get("subjectAltName")
    yield from (value for key, value in (others if isinstance(others, tuple) else ()) if key == "DNS")


def _sentence(error: OSError, files: list[Path]) -> str:
    """Says what is wrong, with the files, which errors of the TLS library leave out."""
    unreadable = [str(file) for file in files if not os.access(file, os.R_OK)]
    if unreadable:
        return f"{', '.join(unreadable)}: no such file, or it may not be read"
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return f"{', '.join(map(str, files))}: {reason}"
