"""
The few acts of kube-controller-manager without which a lab does not go on.

1. A Node that became Ready loses the taint `node.kubernetes.io/not-ready` with which it registered; one that is no
   longer Ready gets it back (node lifecycle controller).
2. When a Node is gone, so are the objects that it owns and the pods bound to it (garbage collector, pod garbage
   collector).
"""

import contextlib

from lab.api import NODES, PODS, Api, ApiError, Object
from lab.picture import Picture

NOT_READY = "node.kubernetes.io/not-ready"


class Controllers:
    """Acts in a thread of its own. `owned` are the paths of the lists in which a Node's objects are looked for."""

    def __init__(self, api: Api, owned: tuple[str, ...]) -> None:
        self._api, self._owned = api, owned
        self.nodes = Picture(api, NODES, listener=self._on_node)

    def start(self) -> None:
        self.nodes.start()

    def stop(self) -> None:
        self.nodes.stop()

    def _on_node(self, kind: str, node: Object) -> None:
        with contextlib.suppress(ApiError):
            if kind == "DELETED":
                self._collect(node)
            else:
                self._taint(node)

    def _taint(self, node: Object) -> None:
        taints = node["spec"].get("taints", [])
        others = [taint for taint in taints if taint["key"] != NOT_READY]
        wanted = others if is_ready(node) else [*others, {"key": NOT_READY, "effect": "NoSchedule"}]
        if len(wanted) != len(taints):
            # The version makes a conflict of a change in between; that change brings the node here again.
            version = {"resourceVersion": node["metadata"]["resourceVersion"]}
            self._api.merge(f"{NODES}/{node['metadata']['name']}", {"metadata": version, "spec": {"taints": wanted}})

    def _collect(self, node: Object) -> None:
        name, uid = node["metadata"]["name"], node["metadata"]["uid"]
        self._api.delete_pods(self._api.items(PODS, fieldSelector=f"spec.nodeName={name}"))
        for path in self._owned:
            for item in self._api.items(path):
                if any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences", [])):
                    self._api.delete(f"{path}/{item['metadata']['name']}")


def is_ready(node: Object) -> bool:
    """Whether the Node's condition Ready is true."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
