"""Trace and span ids that take nothing from the host's random numbers.

The SDK draws its ids from ``random``'s shared generator: a host that seeds it would get other
numbers under tracing, and with the same seed two generations would get the same ids.

Source: ``RandomIdGenerator``, opentelemetry-sdk 1.20 to 1.45.
"""

from __future__ import annotations

from random import SystemRandom

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

_random = SystemRandom()


class OwnRandomIds(RandomIdGenerator):
    """Draws from the operating system; in a forked child, too."""

    def generate_span_id(self) -> int:
        return _random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return _random.getrandbits(128) or 1


def beside(host: IdGenerator) -> IdGenerator:
    """The host's own generator of ids; ours where it has but the SDK's."""
    return OwnRandomIds() if type(host) is RandomIdGenerator else host
