"""
The proof of the twin: generated sequences of admissions, answered by the twin and by the kubelet's own code.

Three layers. ``draw``, ``themes``, ``machines``, ``configurations``, ``plugins``, ``pods`` and ``generate`` make replay
cases from a seed and know nothing of answers. ``judge``, ``difference``, ``facts``, ``rows`` and ``hits`` hold an answer
against another and say what a case has reached. ``compare`` and ``golden`` are the programs.

The JSON of a case and of an answer is that of ``numa-extender replay``.
"""
