"""A disposable index of the run spans in files, so that a question about all runs reads them once.

One DuckDB file in the user's cache folder for each place that is read. It holds nothing that the
files do not, and is made anew whenever it cannot be used.
"""

from gentrace.sources.index.index import RunIndex
from gentrace.sources.index.memory import of_traces
from gentrace.sources.index.tables import RunColumns

__all__ = ["RunColumns", "RunIndex", "of_traces"]
