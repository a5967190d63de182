"""
The nouns: machine, kubelet configuration, pod, node state, verdict.

Everything here is a value: no I/O, no clock, no decisions. Amounts are integers (bytes, CPUs, devices), sets of
CPUs and of zones are integer bit sets (see ``extender.cpuset``), and a zone is named by its kernel id everywhere.
"""
