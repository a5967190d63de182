"""
What is known of each node: reported, bound since, on its way, stale.

A node is an immutable value; one writer replaces it, readers take no lock. No I/O, no clock (the time is a
parameter), no logging: those are the business of whoever brings the news.
"""
