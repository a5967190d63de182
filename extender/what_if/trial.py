"""What is tried against a verdict: a node, a pod, and whether it is admitted after this or that change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from extender.fleet import Snapshot
from extender.model.answer import Overfull, Suggestion, Way
from extender.model.pod import Pod
from extender.model.question import Asked
from extender.model.verdict import Admission, Refusal
from extender.what_if.amounts import cost, edits
from extender.what_if.defaults import InvalidPodError, as_stored
from extender.what_if.fit import judged
from extender.what_if.site import Site
from extender.what_if.work import Progress, Work


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried, and on what."""

    site: Site
    snapshot: Snapshot
    asked: Asked
    verdict: Admission | Refusal | Overfull
    progress: Progress
    satisfied: Callable[[Admission], bool] = lambda _: True
    """What is wanted beyond an admission."""

    @property
    def pod(self) -> Pod:
        """The pod as asked."""
        return self.asked.pod

    @property
    def refusal(self) -> Refusal:
        """Why the managers refuse the pod as asked."""
        assert isinstance(self.verdict, Refusal)
        return self.verdict

    def fits(self, pod: Pod, site: Site | None = None) -> Work[bool]:
        """Tries a pod, as the API server would store it, on the node as it is or on another form of it."""
        yield self.progress
        try:
            pod = as_stored(pod)
        except InvalidPodError:
            return False
        verdict = judged(site or self.site, pod)
        return isinstance(verdict, Admission) and self.satisfied(verdict)

    def suggestion(self, way: Way, pod: Pod, at_least: int = 0) -> Suggestion:
        """Returns the change from the pod as asked to one that was admitted."""
        told = edits(self.pod, pod, self.asked.spec)
        return Suggestion(way, self.site.name, told, max(at_least, cost(self.pod, pod)))
