"""torch.utils.data.datapipes: data sets that are built of steps, one behind the other.

The steps in ``iter`` and ``map`` are loaded when one is first asked for.
"""

import importlib


def __getattr__(name):
    if name in ("iter", "map", "datapipe", "utils"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
