"""Found first on PYTHONPATH under ``gentrace exec``: the switch, where no ``.pth`` is read.

So it is in what ``pip install --target`` made, and wherever PYTHONPATH names the packages.
Then the host's own sitecustomize has its turn, with a ``sys.path`` as it would be without us.
"""

import os
import sys


def _switch_on() -> None:
    try:
        import gentrace  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        return  # a Python of another environment
    except Exception as exc:
        print(f"gentrace: not started: {type(exc).__name__}", file=sys.stderr)


def _hand_on() -> None:
    """Be the host's sitecustomize, if it has one; its errors are told as they always were."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
    found = (finder.find_spec(__name__, None) for finder in sys.meta_path)
    spec = next((spec for spec in found if spec is not None), None)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules[__name__] = module
    spec.loader.exec_module(module)


_switch_on()
_hand_on()
