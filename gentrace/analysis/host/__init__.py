"""Whether what a profile names is in a checkout: targets, jobs, routes, attributes and words."""

from gentrace.analysis.host.checks import check
from gentrace.analysis.host.targets import target_problems

__all__ = ["check", "target_problems"]
