"""Microbenchmarks: what each hook, a span, the carrier, the run store and the spool cost alone."""
