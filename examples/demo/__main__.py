"""Runs the demo; whatever stops it, also while it is still importing, is said in one line."""

import sys

INTERRUPTED = "\ngentrace demo: interrupted; all is stopped, nothing is left behind"

try:
    from examples.demo.children import DemoFailed, Interrupted, signals

    signals.install()
except KeyboardInterrupt:
    print(INTERRUPTED, file=sys.stderr)
    sys.exit(130)

try:
    from examples.demo.app import main

    code = main()
except Interrupted as stopped:
    print(INTERRUPTED, file=sys.stderr)
    code = 128 + stopped.number
except DemoFailed as failed:
    print(f"\ngentrace demo: {failed}", file=sys.stderr)
    code = 1
signals.ignore()
sys.exit(code)
