"""Every span and attribute name that gentrace writes, declared once, each with its meaning.

The names are a contract with dashboards and saved searches (docs/names.md is generated from
here). No such literal stands anywhere else in the package.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpanName:
    """One span name: what it covers and who emits it."""

    name: str
    kind: str
    meaning: str


@dataclass(frozen=True, slots=True)
class AttributeName:
    """One attribute name: its type (OpenTelemetry's words), meaning and where it stands."""

    name: str
    type: str
    meaning: str
    on: str


SPANS: dict[str, SpanName] = {}
ATTRIBUTES: dict[str, AttributeName] = {}


def _span(name: str, kind: str, meaning: str) -> str:
    SPANS[name] = SpanName(name, kind, meaning)
    return name


def _attribute(name: str, type_: str, on: str, meaning: str) -> str:
    ATTRIBUTES[name] = AttributeName(name, type_, meaning, on)
    return name


# Spans of the creating request
CREATE_GENERATION = _span("create_generation", "INTERNAL", "the host's creation service call")
HASH = _span("generation.hash", "INTERNAL", "the reproducible hash is computed")
DEDUP = _span("generation.dedup", "INTERNAL", "an equal generation is looked up by its hash")
CACHE = _span("generation.cache", "INTERNAL", "an equal generation is looked up by cache key")
ENQUEUE_PREFIX = _span(
    "enqueue ", "PRODUCER", "a job is put on the ARQ queue; followed by the function's name"
)
# Spans of the worker
PROCESS_GENERATION = _span("process_generation", "CONSUMER", "one try: ARQ runs the job")
QUEUE_WAIT = _span("queue.wait", "INTERNAL", "enqueued until the job starts")
ACCOUNT_WAIT = _span("account.wait", "INTERNAL", "waiting for an account, credit or slot")
RETRY_WAIT = _span("retry.wait", "INTERNAL", "waiting for the next try")
ACCOUNT_SELECT = _span("account.select", "INTERNAL", "a provider account is selected or reserved")
ACCOUNT_CREDITS = _span("account.credits", "INTERNAL", "the account's credits are read or checked")
PROVIDER_EXECUTE = _span("provider.execute", "INTERNAL", "one submission to the provider")
PROVIDER_POLL = _span(
    "provider.poll", "INTERNAL", "a status poll that changed something, failed or took over 5 s"
)
PROVIDER_WAIT = _span("provider.wait", "INTERNAL", "submitted until the final provider status")
# Spans of the status and the run
STATUS_CHANGE = _span(
    "generation.status", "INTERNAL", "a status change made outside a span of ours (else an event)"
)
FINISH = _span("generation.finish", "INTERNAL", "what the host does on a final status")
RUN = _span("generation", "INTERNAL", "the run: creation to final status")
OF_THE_RECORD = frozenset({RUN, QUEUE_WAIT, ACCOUNT_WAIT, RETRY_WAIT, PROVIDER_WAIT})
"""Spans made of a run's record, by whichever process comes to it: now and then by two."""
SQL_CONNECT = "connect"
"""The name of the span of a connection to the database; a statement's is operation and table."""
STARTUP = _span("gentrace.startup", "INTERNAL", "one process came up: code and environment")

# Attributes of a run's spans
GENERATION_ID = _attribute("generation.id", "string", "every span of a run", "the host's id")
GENERATION_RUN = _attribute("generation.run", "int", "create_generation, run", "1 for the first")
OUTCOME = _attribute(
    "generation.outcome",
    "string",
    "generation.finish, run, generation.status",
    "the final status reached: completed, failed or cancelled, whatever the host's word for it",
)
OPERATION = _attribute("generation.operation", "string", "create, execute, run", "what was asked")
PROVIDER = _attribute("generation.provider", "string", "create, execute, run", "of whom")
MODEL = _attribute("generation.model", "string", "create, execute, run", "the provider's model")
ACCOUNT_ID = _attribute(
    "generation.account.id", "string", "account.*, execute, run", "the account; ids only"
)
USER_ID = _attribute("generation.user.id", "string", "create, run", "the user; ids only")
GENERATION_HASH = _attribute(
    "generation.hash", "string", "generation.hash, create, run", "the reproducible hash"
)
DEDUP_RESULT = _attribute(
    "generation.dedup",
    "string",
    "generation.dedup, create, run",
    "miss, hit, skipped_failed, stale, error or off",
)
CACHE_RESULT = _attribute(
    "generation.cache",
    "string",
    "generation.cache, create, run",
    "miss, hit, skipped_failed, stale, error or off",
)
RETURNED_ID = _attribute(
    "generation.returned.id",
    "string",
    "SERVER, create",
    "the existing generation that answered the request",
)
RETURNED_STATUS = _attribute(
    "generation.returned.status", "string", "SERVER, create", "its status at that moment"
)
FOUND_ID = _attribute(
    "generation.found.id", "string", "generation.dedup, generation.cache", "what the lookup named"
)
STATUS = _attribute(
    "generation.status", "string", "status, finish, events", "the status set, in the host's word"
)
STATUS_PREVIOUS = _attribute(
    "generation.status.previous", "string", "status, finish, events", "the status before, if known"
)
ERROR_CODE = _attribute(
    "generation.error.code", "string", "failing spans", "the host's code, where it has one"
)
ERROR_TYPE = _attribute("error.type", "string", "failing spans", "exception or provider class")
ERROR_CAUSE = _attribute(
    "generation.error.cause",
    "string",
    "failing spans, run",
    "the type of the innermost exception: what the others were raised from",
)
ERROR_HTTP_STATUS = _attribute(
    "generation.error.http_status",
    "int",
    "provider.execute, run",
    "the status of the failed submission's last HTTP call, from 400 on",
)
ERROR_MESSAGE = _attribute(
    "generation.error.message",
    "string",
    "run",
    "the scrubbed words of the outermost exception whose type may show them",
)
ERROR_STACK = _attribute(
    "generation.error.stack",
    "string[]",
    "the event exception",
    "the host's frames, the last called last, each exception's type after its own; no message",
)
ERROR_FACTS = (ERROR_CODE, ERROR_TYPE, ERROR_CAUSE, ERROR_HTTP_STATUS, ERROR_MESSAGE)
"""What a run is told of its failure; all but the code belong to one exception."""
PROVIDER_JOB_ID = _attribute(
    "generation.provider.job_id", "string", "provider.execute, poll, run", "the provider's job"
)
PROVIDER_STATUS = _attribute(
    "generation.provider.status",
    "string",
    "provider.poll, provider.execute",
    "the provider's status as read",
)
PROVIDER_OVER = _attribute(
    "generation.provider.over",
    "boolean",
    "provider.poll, provider.execute",
    "whether that status is final, by the profile's provider_pending",
)
PROVIDER_PROGRESS = _attribute(
    "generation.provider.progress", "double", "provider.poll", "0 to 1, as the provider gave it"
)
SUBMISSION_ID = _attribute(
    "generation.submission.id", "string", "provider.execute", "the host's submission row"
)
ATTEMPT = _attribute(
    "generation.attempt", "int", "provider.execute", "which submission to the provider, from 1"
)
POLLS = _attribute("generation.polls", "int", "provider.poll, run", "status polls so far")
CACHE_OPERATION = _attribute(
    "generation.cache.operation", "string", "events of create_generation", "the cache write"
)
ACCOUNT_CALL = _attribute(
    "generation.account.call", "string", "account.*", "the host's function that was called"
)
CREDITS_SUFFICIENT = _attribute(
    "generation.account.credits_sufficient", "boolean", "account.credits", "the check's answer"
)
ENQUEUE_OUTCOME = _attribute(
    "generation.enqueue.outcome",
    "string",
    "enqueue",
    "enqueued, duplicate (ARQ has the job id), leased (the host's lease was held) or error",
)
ENQUEUE_DEFER = _attribute("generation.enqueue.defer_s", "double", "enqueue", "deferral, seconds")
JOB_OUTCOME = _attribute(
    "generation.job.outcome",
    "string",
    "CONSUMER",
    "succeeded, failed, retry, interrupted (to be run again), aborted, timeout, not_found, "
    "max_tries, expired or corrupt (its payload)",
)
JOB_STATUS = _attribute(
    "generation.job.status", "string", "process_generation", "the status the host's job returned"
)
JOB_REASON = _attribute(
    "generation.job.reason", "string", "process_generation", "the reason the host's job returned"
)
JOB_TRY = _attribute("generation.job.try", "int", "CONSUMER", "ARQ's try, from 1")
SQL_COUNT = _attribute(
    "generation.sql.count", "int", "any span", "statements without a span (GENTRACE_SQL=slow)"
)
SQL_TIME = _attribute("generation.sql.time_s", "double", "any span", "what these took, in seconds")

# Attributes of the run span, beside many of the above
TRIES = _attribute("generation.tries", "int", "run", "ARQ starts")
REQUEUES = _attribute("generation.requeues", "int", "run", "enqueued again without having failed")
ATTEMPTS = _attribute("generation.attempts", "int", "run", "submissions to the provider")
STAGE = _attribute(
    "generation.stage",
    "string",
    "run",
    "the furthest that it got: created, queued, started, account, submitted, provider; finished"
    " when it was completed",
)
WAIT_REASON = _attribute("generation.wait_reason", "string", "run", "why it last waited")
CODE_VERSION = _attribute(
    "generation.code.version",
    "string",
    "run, gentrace.startup",
    "the host package's git revision, +dirty if a loaded file differs",
)
PROCESSES = _attribute(
    "gentrace.processes", "string[]", "run", "service.instance.id of each process it crossed"
)
LATE_EVENTS = _attribute(
    "gentrace.late_events", "int", "run", "steps of the times that would have been negative"
)
TIMES = {
    state: _attribute(f"generation.time.{state}_s", "double", "run", meaning)
    for state, meaning in {
        "api": "received until enqueued",
        "queue": "on the queue, due",
        "account_wait": "waiting for an account, credit or slot",
        "retry_wait": "waiting for the next try",
        "hold": "paused or scheduled by a person",
        "worker": "in the job, but for the submission",
        "provider_submit": "submitting to the provider",
        "provider_run": "submitted until the final provider status was read",
        "finish": "from then until the final status was committed",
        "unexplained": "no job, nothing queued, nothing submitted",
    }.items()
}

# Attributes of gentrace itself
CALLER = _attribute(
    "gentrace.caller",
    "string",
    "spans made for a generation from outside its own job",
    "cron:<name>, request or job:<function>",
)
LINK = _attribute(
    "gentrace.link",
    "string",
    "links",
    "previous_run, reopened, returned_run, request, incoming, chain or superseded",
)
LINKS = _attribute(
    "gentrace.links",
    "string[]",
    "spans with links",
    "gentrace.link of each of its links: Jaeger 1 drops the attributes of links",
)
INCOMPLETE = _attribute(
    "gentrace.incomplete",
    "string[]",
    "run, process_generation",
    "what is missing: store, worker_died, adopted, status, clock",
)
SCRUBBED = _attribute(
    "gentrace.scrubbed",
    "boolean",
    "spans with texts or links",
    "their texts have passed a scrubber that works; the Collector masks others' texts as a whole",
)
LOG_EVENTS_LEFT_OUT = _attribute(
    "gentrace.log_events.left_out",
    "int",
    "spans with many of the host's log events",
    "log events of the host that this span did not take",
)
PAUSE = _attribute(
    "gentrace.pause_s",
    "double",
    "log events that the profile calls a pause",
    "for how many seconds the host does nothing from then on, as it logged it",
)
CODE_STALE = _attribute(
    "gentrace.code.stale",
    "string[]",
    "spans made by that code, gentrace.startup",
    "source files that are not what was loaded: changed, removed, or with another's .pyc",
)

# Attributes of gentrace.startup
ROLE = _attribute("gentrace.role", "string", "gentrace.startup", "api or worker")
EXECUTABLE = _attribute(
    "process.executable.path", "string", "gentrace.startup", "the Python interpreter"
)
WORKING_DIRECTORY = _attribute(
    "process.working_directory", "string", "gentrace.startup", "where it was started"
)
PREFIX = _attribute(
    "gentrace.python.prefix", "string", "gentrace.startup", "sys.prefix: which environment"
)
PACKAGE_FILE = _attribute(
    "gentrace.package.file", "string", "gentrace.startup", "the host package's file"
)
PACKAGES = _attribute(
    "gentrace.packages", "string[]", "gentrace.startup", "name==version of the profile's packages"
)
IMPORT_ERRORS = _attribute(
    "gentrace.import_errors",
    "string[]",
    "gentrace.startup",
    "module: what failed, of the providers' packages that cannot be imported",
)
TARGETS_PATCHED = _attribute(
    "gentrace.targets.patched", "string[]", "gentrace.startup", "hook points that are observed"
)
TARGETS_LATE = _attribute(
    "gentrace.targets.late", "string[]", "gentrace.startup", "observed, but not by all callers"
)
TARGETS_MISSING = _attribute(
    "gentrace.targets.missing", "string[]", "gentrace.startup", "in no place that the profile names"
)

# Fields of the host's log records
LOG_TRACE_ID, LOG_SPAN_ID = "trace_id", "span_id"
LOG_TAKEN = "otel_"  # in front of one that the host uses itself

# Events
EVENT_STATUS = "generation.status"
EVENT_PROVIDER_STATUS = "generation.provider.status"
EVENT_CACHE = "generation.cache.write"
EVENT_ACCOUNT_RELEASED = "account.released"
EVENT_EXCEPTION, EXCEPTION_TYPE = "exception", "exception.type"
OWN_EVENTS = frozenset(
    {EVENT_STATUS, EVENT_PROVIDER_STATUS, EVENT_CACHE, EVENT_ACCOUNT_RELEASED, EVENT_EXCEPTION}
)
"""The events that tell of the run; all others are the host's log events."""

# OpenTelemetry semantic conventions used by our own spans
CODE_FUNCTION = "code.function.name"
CODE_FILE = "code.file.path"
CODE_LINE = "code.line.number"
MESSAGING_SYSTEM = "messaging.system"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_MESSAGE_ID = "messaging.message.id"
MESSAGING_OPERATION_NAME = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"

# Values of the lookups (generation.dedup, generation.cache)
MISS, HIT, SKIPPED_FAILED, STALE, LOOKUP_ERROR, OFF = (
    "miss",
    "hit",
    "skipped_failed",
    "stale",
    "error",
    "off",
)
# Values of generation.outcome; the first is an error
COMPLETED = "completed"
FAILED = "failed"
CANCELLED = "cancelled"
# Values of gentrace.link
LINK_RETURNED, LINK_REQUEST, LINK_INCOMING, LINK_SUPERSEDED, LINK_CHAIN = (
    "returned_run",
    "request",
    "incoming",
    "superseded",
    "chain",
)
LINK_PREVIOUS, LINK_REOPENED = "previous_run", "reopened"
# Values of gentrace.incomplete; worker_died is also an error.type
NO_STORE, ADOPTED, WORKER_DIED, NO_STATUS = "store", "adopted", "worker_died", "status"
CLOCK = "clock"

REFUSED = "refused: "
LACKS_EXTRA = "its instrumentation is not installed: pip install "
"""How a process's record begins to say that an instrumentation refused a library's version."""
