"""Benchmarks: speed of the verbs, ingestion, placement quality, and the real scheduler."""
