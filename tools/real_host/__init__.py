"""Drives pixsim7 itself with gentrace switched on, and tells what was seen.

    python -m tools.real_host --checkout DIR [--scenarios success,refused] [--out FILE.md]

A checkout of the host is needed; nothing in it is changed. Redis and PostgreSQL are started here,
the provider is a stand-in, and every process is stopped at the end.
"""
