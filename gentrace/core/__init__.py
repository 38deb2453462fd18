"""Shared by the runtime and the reading side: names, profile, targets, spans, times, scrubbing.

Standard library only; imports nothing of ``runtime`` or of the reading side.
"""
