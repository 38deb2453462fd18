"""What must not leave the process, taken out of what does.

Attributes pass by name (allowed.py); texts lose addresses and named secrets (named.py), keys of
well-known shapes (keys.py) and the generation's own prompt (prompts.py), in whatever form these
show (forms.py). The scrubber (scrubber.py) puts a mark in their place.
"""

from __future__ import annotations

from gentrace.core.scrub.finds import shows_secret
from gentrace.core.scrub.scrubber import Scrubber

__all__ = ["Scrubber", "shows_secret"]
