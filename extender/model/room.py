"""What one zone has left for exclusive use: the figures that people, scores and sentences speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """One zone of a node at one moment; amounts are CPUs, bytes or devices by resource name."""

    zone: int
    allocatable: Mapping[str, int]
    """What exclusive allocations may take of an idle zone; a resource that no manager pins is missing."""
    free: Mapping[str, int]
    """What is left of it."""
