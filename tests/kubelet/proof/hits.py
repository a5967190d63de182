"""Counts of what the proof has reached, as one table that adds up over many processes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from proof import rows
from proof.facts import Facts

POLICIES = ("none", "best-effort", "restricted", "single-numa-node")
SCOPES = ("container", "pod")
EMPTY_POOL = "EmptyPodSharedPoolError"
REASONS = ("TopologyAffinityError", "UnexpectedAdmissionError", "SMTAlignmentError", EMPTY_POOL)
OPTIONS = (
    "full-pcpus-only",
    "distribute-cpus-across-numa",
    "align-by-socket",
    "distribute-cpus-across-cores",
    "strict-cpu-reservation",
    "prefer-align-cpus-by-uncorecache",
    "prefer-closest-numa-nodes",
    "max-allowable-numa-nodes",
)
_FIGURES = re.compile(r"\d+|{.*}|\[.*\]|vendor\.com/\w+|example\.com/\w+|(?<=pod )\"[^\"]*\"|(?<=container )\"[^\"]*\"")

Key = tuple[str, str]
"""Kind of hit, and which."""


def hits(facts: Facts) -> Counter[Key]:
    """Returns what one case and its answer have reached."""
    found: Counter[Key] = Counter({("cases", ""): 1})
    if facts.error:
        found["error", wording(facts.error)] += 1
    found["admissions", ""] = len(facts.admissions)
    for one in facts.admissions:
        found["verdict", "admitted" if one.admit else "refused"] += 1
        if not one.admit:
            found["reason", one.reason] += 1
            found["message", wording(one.message)] += 1
    if facts.admissions:
        count = len(facts.admissions)
        found["policy and scope", f"{facts.policy}/{facts.scope}"] += count
        managers = (
            f"cpu {'static' if facts.static_cpu else 'none'}, memory {'Static' if facts.static_memory else 'None'}"
        )
        found["managers", managers] += count
        found["zones", str(len(facts.zones))] += count
        for option in facts.options & set(OPTIONS):
            found["option", option] += count
    for number in rows.reached(facts):
        found["row", str(number)] += 1
    return found


def wording(text: str) -> str:
    """Returns a message without its figures and names, so that alike ones count together."""
    return _FIGURES.sub("…", text)[:120]


def missing(found: Mapping[Key, int], version: str) -> list[str]:
    """Names what should have been reached and was not; 1.35 has no managers of pod-level resources."""
    managed = version != "1.35"
    wanted: list[Key] = [("reason", reason) for reason in REASONS if managed or reason != EMPTY_POOL]
    wanted += [("policy and scope", f"{policy}/{scope}") for policy in POLICIES[1:] for scope in SCOPES]
    wanted += [("policy and scope", "none/-"), *(("option", option) for option in OPTIONS)]
    wanted += [("row", str(number)) for number in sorted(rows.QUESTIONS) if managed or number not in rows.OF_BUDGETS]
    return [f"{kind}: {which}" for kind, which in wanted if not found.get((kind, which))]


def added(tables: Iterable[Counter[Key]]) -> Counter[Key]:
    """Adds tables up."""
    total: Counter[Key] = Counter()
    for table in tables:
        total.update(table)
    return total
