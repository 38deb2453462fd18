"""What ``opentelemetry-instrument`` finds as gentrace among the installed instrumentors.

It asks every installed instrumentor, so asking for all switches gentrace on as a program's call
does. ``GENTRACE`` set to anything but on keeps it off, and so does
``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=gentrace``. Where gentrace.pth came first this changes
nothing: the host is hooked once, when its package is imported, and by then the other
instrumentors have been asked, so that what they instrument is theirs.

Source: ``auto_instrumentation/_load.py``, opentelemetry-instrumentation 0.66b.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from gentrace.core import switch
from gentrace.runtime import notices, startup


class GentraceInstrumentor(BaseInstrumentor):
    """Switches gentrace on and off as OpenTelemetry's instrumentors are switched. Never raises."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: the host is no package with a version."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        """Wait for the host, unless ``GENTRACE`` says no.

        Args:
            profile: as for :func:`gentrace.instrument`; other options are not used.
        """
        if switch.switched_off():
            return
        try:
            startup.start(kwargs.get("profile"), switched=True)
        except Exception as exc:
            notices.swallowed("start", exc)

    def _uninstrument(self, **kwargs: Any) -> None:
        startup.stop()
