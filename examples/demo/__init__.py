"""The demo: a small host under GENTRACE=1, a dozen generations, and what gentrace shows of them.

`make demo` runs it, or `python -m examples.demo` from the top of the tree.
"""
