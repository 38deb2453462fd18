"""What a run needs across processes: the run store in ARQ's Redis."""
