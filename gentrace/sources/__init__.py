"""Where spans are read from, all read-only. What they mean is for analysis to say."""

from gentrace.sources.base import Found, Source, Window
from gentrace.sources.choose import open_source

__all__ = ["Found", "Source", "Window", "open_source"]
