"""What may be told of the host's failures and words, and how a span is marked as failed by them."""

from __future__ import annotations

import re
import sys
from typing import Any

from opentelemetry.trace import Span, Status, StatusCode

from gentrace.core import names
from gentrace.core.profile import Profile
from gentrace.core.scrub import Scrubber
from gentrace.runtime import failures
from gentrace.runtime.context import Run

_CODE = re.compile(r"[\w.:-]{1,64}")
_WORD = re.compile(r"[\w.:/+-]{1,100}")


class Telling:
    """Tells what the profile allows, scrubbed."""

    def __init__(self, profile: Profile, scrubber: Scrubber) -> None:
        self.profile, self.scrubber = profile, scrubber

    def fail(self, span: Span, exc: BaseException, run: Run | None = None) -> None:
        """Mark a span as failed by that exception: type, code, cause, place and scrubbed message.

        Where the failure is met first, the host's stack is put on it, too. Cancellation is no
        error: the span stays UNSET, with the type alone.
        """
        for name, value in self.error_facts(exc).items():
            span.set_attribute(name, value)
        if not isinstance(exc, Exception):
            return
        span.set_status(Status(StatusCode.ERROR, self.message(exc, run)))
        self._tell_place(span, exc, run)

    def _tell_place(self, span: Span, exc: Exception, run: Run | None) -> None:
        """Where in the host it began; a span's own function keeps its name."""
        found, packages = failures.chain(exc), self.profile.packages
        place = failures.origin(found, packages)
        if place is not None:
            span.set_attribute(names.CODE_FILE, place.file)
            span.set_attribute(names.CODE_LINE, place.line)
            if names.CODE_FUNCTION not in (getattr(span, "attributes", None) or ()):
                span.set_attribute(names.CODE_FUNCTION, place.function)
        began = (id(found[-1]), str(place))
        if run is not None and run.failed_by == began:
            return  # the span below has its stack
        told = failures.stack(found, packages, sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        kind = type_name(type(exc))
        span.add_event(names.EVENT_EXCEPTION, {names.EXCEPTION_TYPE: kind, names.ERROR_STACK: told})
        if run is not None:
            run.failed_by = began

    def error_facts(self, exc: BaseException) -> dict[str, str]:
        """The exception's type, that of its cause, and the code if the exception carries one.

        A code that only repeats the name of the class is none of the host's.
        """
        facts = {names.ERROR_TYPE: type_name(type(exc))}
        if not isinstance(exc, Exception):
            return facts
        facts[names.ERROR_CAUSE] = type_name(type(failures.chain(exc)[-1]))
        classes = {base.__name__ for base in type(exc).__mro__}
        for attribute in self.profile.errors.code:
            code = _code_of(exc, attribute)
            if isinstance(code, str | int) and not isinstance(code, bool) and code not in classes:
                facts[names.ERROR_CODE] = self.code(str(code))
                break
        return facts

    def run_facts(self, exc: BaseException, run: Run | None) -> dict[str, str]:
        """What the run is told of a failure: as :meth:`error_facts`, and the words shown of it."""
        facts = self.error_facts(exc)
        words = self._words(exc, run) if isinstance(exc, Exception) else None
        return facts if words is None else {**facts, names.ERROR_MESSAGE: words}

    def code(self, code: str) -> str:
        """An error code as it may be shown: a word, or what stands for a text."""
        return code if _CODE.fullmatch(code) else self.scrubber.mark("code", code)

    def word(self, text: str, run: Run | None = None) -> str:
        """What the host or its provider said, as it may be shown: a word, or a scrubbed text.

        A text stays where the prompt is not known that may be in it.
        """
        prompts = run.prompts if run is not None else ()
        if not prompts and not _WORD.fullmatch(text):
            return self.scrubber.mark("text", text)
        return self.scrubber.text(text, prompts)

    def message(self, exc: BaseException, run: Run | None = None) -> str:
        """The exception's message as it may be shown: scrubbed words, or length and hash.

        The words are those of the outermost exception whose type may show them: what a host
        raises from that, or that from what, may hold anything.
        """
        words = self._words(exc, run) if isinstance(exc, Exception) else None
        if words is not None:
            return words
        text = _text_of(exc)
        return self.scrubber.mark("message", text) if text else ""

    def _words(self, exc: Exception, run: Run | None) -> str | None:
        """None where no exception may show any, or the prompt is not known that may be in them."""
        if run is None or not run.prompts:
            return None
        for each in failures.chain(exc):
            types = {base.__name__ for base in type(each).__mro__}
            text = "" if types.isdisjoint(self.profile.errors.messages) else _text_of(each)
            if text:
                return self.scrubber.text(text, run.prompts)
        return None


def _code_of(exc: Exception, attribute: str) -> object:
    """What it holds there; nothing where that cannot be read."""
    try:
        code = getattr(exc, attribute, None)
        return getattr(code, "value", code)
    except Exception:
        return None


def _text_of(exc: BaseException) -> str:
    """Its message; one that cannot be made into text has none."""
    try:
        return str(exc)
    except Exception:
        return ""


def type_name(kind: type[Any]) -> str:
    """``module.Type`` as the conventions want it; builtins without their module."""
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
