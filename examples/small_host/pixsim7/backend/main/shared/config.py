"""Every setting of the small host, read from the environment once, at import."""

import os
from dataclasses import dataclass, field


def _text(name: str, default: str) -> str:
    return os.environ.get(name, default)


def _number(name: str, default: float) -> float:
    return float(os.environ.get(name) or default)


def _flag(name: str, default: bool) -> bool:
    return os.environ.get(name, str(default)).strip().lower() in {"1", "true", "yes", "on"}


@dataclass(frozen=True)
class Settings:
    """The values in force in this process; names ending in `_s` are seconds."""

    database_url: str = field(
        default_factory=lambda: _text("DATABASE_URL", "sqlite+aiosqlite:///./small_host.db")
    )
    redis_url: str = field(default_factory=lambda: _text("REDIS_URL", "redis://127.0.0.1:6379/0"))
    provider_base_url: str = field(
        default_factory=lambda: _text("PROVIDER_BASE_URL", "http://127.0.0.1:8077")
    )
    provider_timeout_s: float = field(default_factory=lambda: _number("PROVIDER_TIMEOUT_S", 20))
    media_dir: str = field(default_factory=lambda: _text("MEDIA_DIR", "./media"))

    account_count: int = field(default_factory=lambda: int(_number("ACCOUNT_COUNT", 2)))
    account_slots: int = field(default_factory=lambda: int(_number("ACCOUNT_SLOTS", 2)))
    account_cooldown_s: float = field(default_factory=lambda: _number("ACCOUNT_COOLDOWN_S", 3))
    account_wait_s: int = field(default_factory=lambda: int(_number("ACCOUNT_WAIT_S", 2)))

    dispatch_stagger_per_slot_s: float = field(
        default_factory=lambda: _number("DISPATCH_STAGGER_PER_SLOT_SECONDS", 0.3)
    )
    dispatch_stagger_max_s: float = field(
        default_factory=lambda: _number("DISPATCH_STAGGER_MAX_SECONDS", 3)
    )

    auto_retry_enabled: bool = field(default_factory=lambda: _flag("AUTO_RETRY_ENABLED", True))
    auto_retry_max_attempts: int = field(
        default_factory=lambda: int(_number("AUTO_RETRY_MAX_ATTEMPTS", 2))
    )
    retry_defer_jitter_s: int = field(
        default_factory=lambda: int(_number("GENERATION_RETRY_DEFER_JITTER_SECONDS", 0))
    )
    enqueue_lease_s: int = field(
        default_factory=lambda: int(_number("GENERATION_ENQUEUE_LEASE_TTL_SECONDS", 300))
    )

    poll_interval_s: int = field(default_factory=lambda: int(_number("POLL_INTERVAL_S", 2)))
    cancel_grace_s: float = field(default_factory=lambda: _number("CANCEL_GRACE_S", 5))
    processing_timeout_s: float = field(
        default_factory=lambda: _number("PROCESSING_TIMEOUT_S", 7200)
    )
    unsubmitted_timeout_s: float = field(
        default_factory=lambda: _number("UNSUBMITTED_TIMEOUT_S", 900)
    )
    requeue_after_s: float = field(default_factory=lambda: _number("REQUEUE_AFTER_S", 30))

    arq_max_jobs: int = field(default_factory=lambda: int(_number("ARQ_MAX_JOBS", 10)))
    arq_max_tries: int = field(default_factory=lambda: int(_number("ARQ_MAX_TRIES", 3)))
    arq_job_timeout_s: int = field(default_factory=lambda: int(_number("ARQ_JOB_TIMEOUT_S", 120)))
    log_file: str = field(default_factory=lambda: _text("LOG_FILE", ""))


settings = Settings()
