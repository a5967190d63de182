"""An always current picture of the objects behind one API path, for waiting until they are as a test wants them."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Self, TypeVar

import orjson
import urllib3

from lab.api import Api, ApiError, Object
from lab.errors import LabError

Value = TypeVar("Value")
Key = tuple[str, str]
Listener = Callable[[str, Object], None]


def key(item: Object) -> Key:
    """Namespace (empty for what has none) and name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


class Picture:
    """
    Lists and watches in a thread. Survives a restart of the API server: it lists anew and tells what changed meanwhile.

    A listener gets ("ADDED" | "MODIFIED" | "DELETED", object), in the picture's thread, after the picture has changed.
    """

    def __init__(self, api: Api, path: str, *, listener: Listener = lambda _kind, _item: None, **query: str) -> None:
        self._api, self._path, self._query, self._listener = api, path, query, listener
        self._objects: dict[Key, Object] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._response: urllib3.BaseHTTPResponse | None = None
        self._thread = threading.Thread(target=self._run, name=f"picture of {path}", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        response = self._response
        if response is not None:
            with contextlib.suppress(ValueError, RuntimeError, OSError):
                response.shutdown()
        self._thread.join(10)

    @property
    def objects(self) -> Mapping[Key, Object]:
        """A copy of the picture of now; the objects in it are not to be changed."""
        with self._changed:
            return dict(self._objects)

    def wait(self, what: str, seconds: float, look: Callable[[Mapping[Key, Object]], Value]) -> Value:
        """
        Returns what `look` sees as soon as that is a true value; it looks at every change.

        Raises `LabError` when `seconds` have passed.
        """
        limit = time.monotonic() + seconds
        with self._changed:
            while not (value := look(self._objects)):
                remaining = limit - time.monotonic()
                if remaining <= 0:
                    raise LabError(f"Waited {seconds:g} s for {what}; last seen: {value!r}.")
                self._changed.wait(remaining)
            return value

    def wait_quiet(self, seconds: float, limit: float) -> None:
        """Waits until nothing has changed for `seconds`; raises `LabError` when that takes over `limit` seconds."""
        end = time.monotonic() + limit
        with self._changed:
            while self._changed.wait(seconds):
                if time.monotonic() > end:
                    raise LabError(f"{self._path} still changes after {limit:g} s.")

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(ApiError, urllib3.exceptions.HTTPError, orjson.JSONDecodeError, OSError):
                self._follow(self._relist())
            self._stopping.wait(0.1)

    def _relist(self) -> str:
        listed = self._api.get(self._path, **self._query)
        present = {key(item): item for item in listed["items"]}
        known = self.objects
        for gone in known.keys() - present.keys():
            self._take("DELETED", known[gone])
        for name, item in present.items():
            before = known.get(name)
            if before is None:
                self._take("ADDED", item)
            elif before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._take("MODIFIED", item)
        version: str = listed["metadata"]["resourceVersion"]
        return version

    def _follow(self, version: str) -> None:
        with self._api.changes(self._path, version, **self._query) as response:
            self._response = response
            try:
                for line in _lines(response):
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        return
                    self._take(event["type"], event["object"])
                    if self._stopping.is_set():
                        return
            finally:
                self._response = None

    def _take(self, kind: str, item: Object) -> None:
        with self._changed:
            if kind == "DELETED":
                self._objects.pop(key(item), None)
            else:
                self._objects[key(item)] = item
            self._changed.notify_all()
        self._listener(kind, item)


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
