"""One change of a generation's status, as whoever saw it hands it on."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One change of a generation's status.

    Attributes:
        old: the status before; None where it is not known (a new row, a bulk update, an
            attribute that was not loaded).
        new: the status now; empty where only something else that is read changed.
        where: ``module:function`` of the host that set it, empty where that is not known.
        read: what else the profile reads off the generation (error_code, asset, …).
        unsure: what a bulk update did to it is not known; ``new`` is empty then.
    """

    generation_id: str
    old: str | None
    new: str
    where: str = ""
    read: dict[str, str] = field(default_factory=dict[str, str])
    at_ns: int = 0
    inserted: bool = False
    unsure: bool = False
