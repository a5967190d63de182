"""
What-if over HTTP, and the page: the same questions as on the command line, beside the scheduler's verbs.

The verbs must not feel it. Questions are read, computed and written in a process of their own, at a low priority,
one after the other; this process only hands it what has changed of the inventory, and bytes back and forth.
"""
