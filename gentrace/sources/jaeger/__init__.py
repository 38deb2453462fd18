"""A Jaeger's HTTP query API as a source of spans; see :mod:`gentrace.sources.jaeger.source`."""

from gentrace.sources.jaeger.access import Access
from gentrace.sources.jaeger.source import Jaeger

__all__ = ["Access", "Jaeger"]
