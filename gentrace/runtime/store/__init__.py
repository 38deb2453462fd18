"""What processes tell each other of a run: lists of events in the Redis that ARQ uses."""
