"""
Questions of people: where they come from (files, standard input, a cluster), and how answers look on a terminal.

The only place where YAML manifests are parsed; what a question means is for ``extender.what_if``.
"""
