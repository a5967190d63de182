"""
A pod as the API server shows it: the pod itself and how far it has come.

Source: core/v1 Pod, spec.nodeName and status.
"""

from __future__ import annotations

from dataclasses import dataclass

from extender.model.pod import Pod


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """One pod at one moment."""

    pod: Pod
    node: str = ""
    """The node it is bound to; empty where it is not bound."""
    terminal: bool = False
    """Succeeded or Failed: what it held is freed by its kubelet's next admission."""
    admitted: bool = False
    """Its kubelet has shown that it has taken the pod on."""
    started: bool = False
    """An app container of it has run, so its ordinary init containers are done."""
    deleting: bool = False
    """It was told to end: it may be over any moment."""
    refusal: str = ""
    """Why its kubelet refused it (status.reason); empty unless it did."""
    priority: int = 0
    plain: bool = True
    """Whether nothing but amounts can make it stand in another pod's way."""
