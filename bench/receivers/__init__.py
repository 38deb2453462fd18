"""Where the tools of `bench.cost` send their spans: OTLP, Sentry's envelopes, Datadog's traces.

Only what is counted is kept of a span. `python -m bench.receivers` is the server.
"""
