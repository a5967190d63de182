"""Mutation testing of the twin: is the proof any good?"""
