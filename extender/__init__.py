"""numa-extender: a scheduler extender whose verdict equals the kubelet's."""
