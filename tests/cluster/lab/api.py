"""
A small client of the Kubernetes API for tests: paths and JSON objects, nothing hidden.

It is not the client of the product, so that the tests see what is there and not what the product sees.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3
import yaml

from lab.credentials import Credentials
from lab.errors import LabError
from lab.waiting import eventually

Object = dict[str, Any]

NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
WORKERS = 8
# Only a busy server (429), as it is with a new kind of objects for a moment, is asked again; all else is the caller's.
RETRY = urllib3.Retry(
    total=None,
    connect=0,
    read=0,
    other=0,
    status=50,
    status_forcelist=(429,),
    allowed_methods=None,
    backoff_factor=0.05,
    backoff_max=0.5,
    raise_on_status=False,
    respect_retry_after_header=False,
)


class ApiError(LabError):
    """The API server refused a request; `status` is the HTTP status."""

    def __init__(self, method: str, path: str, status: int, body: bytes) -> None:
        try:
            message = orjson.loads(body).get("message", "")
        except orjson.JSONDecodeError:
            message = body.decode(errors="replace")
        super().__init__(f"{method} {path} answered {status}: {message}")
        self.status = status


class Api:
    """Requests as one user. Safe for threads."""

    def __init__(self, credentials: Credentials) -> None:
        self._server = credentials.server
        self._headers = {"Accept": "application/json"}
        if credentials.token:
            self._headers["Authorization"] = f"Bearer {credentials.token}"
        self._pool = urllib3.PoolManager(maxsize=32, retries=RETRY, ssl_context=credentials.context())
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def close(self) -> None:
        self._pool.clear()

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json", **query: str
    ) -> Object:
        """Sends one request and returns the object of the answer; raises `ApiError` on any status of 400 or more."""
        response = self._pool.request(
            method,
            self._url(path, query),
            body=None if body is None else orjson.dumps(body),
            headers=self._headers | {"Content-Type": content_type},
            timeout=30,
        )
        if response.status >= 400:
            raise ApiError(method, path, response.status, response.data)
        answer: Object = orjson.loads(response.data)
        return answer

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return self._pool.request("GET", self._url("/readyz", {}), headers=self._headers, timeout=2).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def get(self, path: str, **query: str) -> Object:
        return self.request("GET", path, **query)

    def find(self, path: str) -> Object | None:
        """Returns the object, or None when there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, **query: str) -> list[Object]:
        """Returns the items of a list."""
        items: list[Object] = self.get(path, **query)["items"]
        return items

    def create(self, path: str, body: Object) -> Object:
        return self.request("POST", path, body)

    def merge(self, path: str, patch: Object) -> Object:
        """Applies a JSON merge patch."""
        return self.request("PATCH", path, patch, "application/merge-patch+json")

    def delete(self, path: str, *, grace_seconds: int | None = None) -> None:
        """Deletes an object; it is no error when it is already gone."""
        body = None if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        try:
            self.request("DELETE", path, body)
        except ApiError as error:
            if error.status != 404:
                raise

    def apply(self, body: Object, namespace: str = "default") -> Object:
        """Creates or changes any object by server-side apply."""
        path = self.path(body, namespace)
        return self.request("PATCH", path, body, "application/apply-patch+yaml", fieldManager="lab", force="true")

    def apply_file(self, path: Path, namespace: str = "default") -> list[Object]:
        """Applies the objects of a YAML file one after the other; a CustomResourceDefinition is waited for."""
        applied = []
        for document in yaml.safe_load_all(path.read_text()):
            if document:
                applied.append(self.apply(document, namespace))
                if document["kind"] == "CustomResourceDefinition":
                    self._wait_served(document)
        return applied

    def path(self, body: Object, namespace: str = "default") -> str:
        """Returns the path of an object, from its apiVersion, kind and name."""
        version, metadata = body["apiVersion"], body["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        plural, namespaced = self._kind(root, body["kind"])
        if namespaced:
            root = f"{root}/namespaces/{metadata.get('namespace', namespace)}"
        return f"{root}/{plural}/{metadata['name']}"

    def create_pods(self, pods: Iterable[Object]) -> list[Object]:
        """Creates pods, several at a time, and returns them as the API server made them, in the same order."""
        with ThreadPoolExecutor(WORKERS) as workers:
            return list(workers.map(lambda pod: self.create(pods_path(pod), pod), pods))

    def delete_pods(self, pods: Iterable[Object], *, grace_seconds: int | None = 0) -> None:
        """Deletes pods, several at a time; those already gone are no error."""
        with ThreadPoolExecutor(WORKERS) as workers:
            list(workers.map(lambda pod: self.delete(pod_path(pod), grace_seconds=grace_seconds), pods))

    def bind(self, pod: Object, node: str) -> None:
        """Binds a pod to a node as a scheduler does."""
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        self.create(f"{pod_path(pod)}/binding", {"metadata": {"name": pod["metadata"]["name"]}, "target": target})

    def events(self, pod: Object) -> list[Object]:
        """Returns the events about a pod, oldest first."""
        metadata = pod["metadata"]
        selector = f"involvedObject.kind=Pod,involvedObject.name={metadata['name']}"
        found = self.items(f"/api/v1/namespaces/{metadata['namespace']}/events", fieldSelector=selector)
        return sorted(found, key=lambda event: str(event.get("eventTime") or event.get("firstTimestamp") or ""))

    def token(self, namespace: str, service_account: str, seconds: int = 86400, *, pod: str = "") -> str:
        """Mints a token of a service account, bound to a pod as a kubelet's are where one is named."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        spec: Object = {"expirationSeconds": seconds}
        if pod:
            spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod}
        token: str = self.create(path, {"spec": spec})["status"]["token"]
        return token

    @contextmanager
    def changes(self, path: str, version: str, **query: str) -> Iterator[urllib3.BaseHTTPResponse]:
        """Opens a watch from a resource version on; each line of the response is one JSON event."""
        response = self._pool.request(
            "GET",
            self._url(path, query | {"watch": "true", "resourceVersion": version}),
            headers=self._headers,
            preload_content=False,
            timeout=urllib3.Timeout(connect=5, read=None),
        )
        try:
            if response.status >= 400:
                raise ApiError("WATCH", path, response.status, response.data)
            yield response
        finally:
            response.close()

    def _kind(self, root: str, kind: str) -> tuple[str, bool]:
        if (root, kind) not in self._kinds:
            for resource in self.get(root)["resources"]:
                if "/" not in resource["name"]:
                    self._kinds[root, resource["kind"]] = resource["name"], resource["namespaced"]
        return self._kinds[root, kind]

    def _wait_served(self, definition: Object) -> None:
        """Waits until the API of a CustomResourceDefinition answers, in every version."""
        spec = definition["spec"]
        roots = [f"/apis/{spec['group']}/{version['name']}" for version in spec["versions"] if version["served"]]
        plural = spec["names"]["plural"]
        what = f"{definition['metadata']['name']} to be served"
        eventually(what, 10, lambda: all(self.find(root) and self.find(f"{root}/{plural}") for root in roots))

    def _url(self, path: str, query: dict[str, str]) -> str:
        return f"{self._server}{path}{'?' if query else ''}{urlencode(query)}"


def pods_path(pod: Object) -> str:
    """The path of the pods of a pod's namespace."""
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods"


def pod_path(pod: Object) -> str:
    """The path of a pod."""
    return f"{pods_path(pod)}/{pod['metadata']['name']}"
