"""What becomes of the pods of a burst, as the API tells it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass

from burst_pods import KIND
from lab.api import Object
from lab.pods import is_denied, is_unschedulable, phase

CROSSING_SECONDS = 0.5
"""For so long a binding may be under way to those who watch."""
REJECTED = "Pod was rejected: "


@dataclass
class Fate:
    """One pod."""

    name: str
    created: float
    """When it was first seen, by our clock; so are all times."""
    scheduler: str
    kind: str = ""
    """As burst_pods names it."""
    bound: float | None = None
    node: str = ""
    admitted: bool = False
    """Its kubelet has shown that it had taken it on."""
    ran: bool = False
    unschedulable: bool = False
    denied: bool = False
    """The guard has denied its last Binding."""
    refused: str = ""
    """The kubelet's reason."""
    refused_at: float = 0.0
    refused_again: bool = False
    """A restarted kubelet has refused what it had admitted."""
    gone: bool = False

    @property
    def waits(self) -> bool:
        """Whether it has no node yet."""
        return not self.node and not self.gone

    @property
    def waits_with_a_word(self) -> bool:
        """Whether its scheduler has said why it waits."""
        return self.unschedulable or self.denied


class Record:
    """Listens to pods."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate] = {}
        self.changed = time.monotonic()
        """When a pod was last bound, refused, found unschedulable, or gone."""
        self._lock = threading.Lock()

    def hear(self, kind: str, item: Object) -> None:
        """Takes an event of a pod."""
        now, uid = time.monotonic(), item["metadata"]["uid"]
        with self._lock:
            fate = self.fates.get(uid)
            if fate is None:
                fate = self.fates[uid] = Fate(
                    item["metadata"]["name"],
                    now,
                    item["spec"].get("schedulerName", "default-scheduler"),
                    item["metadata"].get("annotations", {}).get(KIND, ""),
                )
                self.changed = now
            before = (fate.node, fate.refused, fate.waits_with_a_word, fate.gone, fate.ran)
            if fate.bound is None and item["spec"].get("nodeName"):
                fate.bound, fate.node = now, item["spec"]["nodeName"]
            status = item.get("status", {})
            if phase(item) == "Failed" and status.get("message", "").startswith(REJECTED) and not fate.refused:
                fate.refused, fate.refused_at, fate.refused_again = status["reason"], now, fate.admitted
            fate.admitted = fate.admitted or "startTime" in status
            fate.ran = fate.ran or phase(item) == "Running"
            fate.unschedulable, fate.denied = is_unschedulable(item), is_denied(item)
            fate.gone = kind == "DELETED"
            if before != (fate.node, fate.refused, fate.waits_with_a_word, fate.gone, fate.ran):
                self.changed = now

    def all(self) -> list[Fate]:
        """Returns all pods that ever were."""
        with self._lock:
            return list(self.fates.values())

    def placed(self) -> int:
        """How many pods have or had a node that admitted them."""
        return sum(bool(fate.node) and not fate.refused for fate in self.all())

    def refusals(self, scheduler: str = "") -> Counter[str]:
        """Reason to pods that their kubelets refused at their first admission, of one scheduler or of all."""
        return Counter(
            fate.refused
            for fate in self.all()
            if fate.refused and not fate.refused_again and scheduler in {"", fate.scheduler}
        )

    def raced(self, scheduler: str) -> Counter[str]:
        """
        Reason to refused pods of other schedulers to whose node one of this scheduler had just bound a pod too.

        Bindings of two schedulers that know nothing of each other cross: neither can take them into account.
        """
        theirs = [fate for fate in self.all() if fate.scheduler == scheduler and fate.bound is not None]
        return Counter(
            fate.refused
            for fate in self.all()
            if fate.refused
            and not fate.refused_again
            and fate.scheduler != scheduler
            and fate.bound is not None
            and any(
                other.node == fate.node and fate.bound - CROSSING_SECONDS <= (other.bound or 0) <= fate.refused_at
                for other in theirs
            )
        )

    def refused_again(self) -> Counter[str]:
        """Kind and reason to pods that were refused by a kubelet that had admitted them before its restart."""
        return Counter(f"{fate.kind} {fate.refused}" for fate in self.all() if fate.refused_again)

    def halted(self) -> list[str]:
        """Names of pods that have a node and neither run on it nor were refused, without end in sight."""
        return [fate.name for fate in self.all() if fate.node and not (fate.ran or fate.refused or fate.gone)]

    def waits(self) -> list[float]:
        """Seconds from creation to binding, ascending."""
        return sorted(fate.bound - fate.created for fate in self.all() if fate.bound is not None)

    def wait_quiet(self, seconds: float, limit: float) -> bool:
        """Waits until nothing has happened for some seconds and no pod without a word waits; False at the limit."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            quiet = time.monotonic() - self.changed > seconds
            if quiet and all(fate.waits_with_a_word for fate in self.all() if fate.waits):
                return True
            time.sleep(0.2)
        return False
