"""
The law for many nodes at once: nodes are columns of arrays, and one pod is judged on all of them together.

Rule 1: columns never guess. Each node gets the kubelet's verdict, cause included, or the answer "undecided", and
then its twin in ``extender.kubelet`` is asked. Rule 2: nothing here is law of its own; a property test holds every
decided answer against the twin.

It works because most of the kubelet's verdicts follow from quantities alone: how many CPUs, bytes and devices each
zone has left. *Which* CPUs are taken matters only where a request is spread over several zones, or where cores,
sockets and zones do not nest; such nodes and moments are left to the twin.

Axes: N nodes, Z zones, M groups of zones (masks). Arrays are (Z, N) or (M, N), so that sums over zones run along
memory. Amounts are int64; a zone is named by its position among the node's zone ids, ascending.
"""
