"""One question from JSON to JSON: the same for the command line and for HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from extender.ask.manifests import documents
from extender.kubelet.admission import settled
from extender.model.answer import Answer
from extender.model.question import Question
from extender.what_if import desk
from extender.what_if.change import ImpossibleChangeError
from extender.what_if.defaults import InvalidPodError
from extender.what_if.site import NoSuchNodeError, Site
from extender.what_if.work import Work
from extender.wire import fields
from extender.wire.answers import answer_to_json
from extender.wire.fields import WireError
from extender.wire.manifests import asked_from_json, is_asked
from extender.wire.node_map import Head, Mapped, brief_to_json, map_to_json
from extender.wire.what_if import question_from_json

Json = dict[str, object]

MISTAKES = (WireError, InvalidPodError, NoSuchNodeError, ImpossibleChangeError)
"""What is wrong with a question; each has one sentence."""
MOST_MAPS = 16
_KINDS: Mapping[str, Callable[[desk.Clusters, Question], Work[Answer]]] = {
    "what-if": desk.fits,
    "capacity": desk.counts,
}


def read(body: object) -> Question:
    """
    Reads a question, of which ``manifest`` may be YAML text instead of ``pods``.

    Raises:
        MISTAKES: it is no question, or an API server would not take its pods.
    """
    if isinstance(body, Mapping) and "manifest" in body:
        if body.get("pods") is not None:
            raise WireError("manifest", "a text", "allowed beside pods")
        text = fields.text(body["manifest"], "manifest")
        body = {**{name: value for name, value in body.items() if name != "manifest"}, "pods": documents(text)}
    return desk.stored(question_from_json(body))


def check(manifests: Sequence[object], name: str) -> None:
    """
    Reads manifests only to say what is wrong with them, and in which file; kinds without pods are passed over.

    Raises:
        MISTAKES: one of them is malformed, or an API server would not take it.
    """
    for manifest in manifests:
        if not isinstance(manifest, dict):
            raise WireError(name, manifest, "an object")
        if is_asked(manifest):
            desk.stored(Question(asked_from_json([manifest], name)), f"{name}: ")


def answered(
    kind: str, question: Question, sites: Sequence[Site], *, brief: bool = False, maps: bool = False
) -> Work[Json]:
    """
    Answers a question.

    Args:
        kind: ``what-if`` or ``capacity``.
        question: as ``read`` gives it.
        sites: all nodes that are known.
        brief: without the figures of each node.
        maps: with the nodes in question as maps, after the change if there is one; the first ``MOST_MAPS``.

    Raises:
        MISTAKES: the question does not suit the cluster.
    """
    among = yield from desk.clusters(sites, question)
    answer = yield from _KINDS[kind](among, question)
    written = answer_to_json(answer, brief=brief)
    if maps:
        written["maps"] = [mapped(site) for site in among.latest[:MOST_MAPS]]
    return written


def listed(site: Site) -> Json:
    """Returns a node for a list."""
    return brief_to_json(_head(site), _mapped(site))


def mapped(site: Site) -> Json:
    """Returns a node as a map."""
    return map_to_json(_head(site), _mapped(site), (uid for uid, running in site.pods.items() if running.rebuilt))


def _head(site: Site) -> Head:
    return Head(site.name, site.knowledge, site.estimates, site.fault, site.kubelet_version)


def _mapped(site: Site) -> Mapped | None:
    if site.snapshot is None:
        return None
    kubelet = site.snapshot.kubelet
    reserved = kubelet.cpu.reserved if kubelet.cpu else 0
    state = settled(kubelet, site.snapshot.state)
    return Mapped(kubelet.machine, kubelet.configuration, kubelet.version, state, reserved, site.snapshot.rooms)
