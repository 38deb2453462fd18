"""How processing ends: with a result, or with an error that the queue should see."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ProcessingOutcome:
    result: dict[str, Any] | None = None
    error: BaseException | None = None
    raise_for_retry: bool = False

    @classmethod
    def done(cls, result: dict[str, Any]) -> "ProcessingOutcome":
        return cls(result=result)

    @classmethod
    def retry(cls, error: BaseException) -> "ProcessingOutcome":
        return cls(error=error, raise_for_retry=True)
