"""From an ended span to OTLP or the local spool: batching, scrubbing, spool, shutdown."""
