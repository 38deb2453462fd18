"""Runs a worker on each serializer's queue until it is empty: ``python -m queue_host.work``."""

from __future__ import annotations

import sys
from typing import Any

from arq.worker import run_worker
from queue_host.serializers import SERIALIZERS
from queue_host.settings import WorkerSettings, settings

if __name__ == "__main__":
    reads: Any = sys.modules.get("gentrace.runtime.store.find")
    if reads is not None:
        reads.READ_TIMEOUT_S = 5.0  # a busy machine is no missing store
    settings_cls: Any = WorkerSettings
    run_worker(settings_cls=settings_cls, burst=True)
    for name in SERIALIZERS:
        if name != "pickle":
            run_worker(settings(name), burst=True)
