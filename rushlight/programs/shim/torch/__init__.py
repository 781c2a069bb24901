"""rushlight, under PyTorch's name, in Python processes that begin without it."""

import importlib
import sys

del sys.modules[__name__]
try:
    importlib.import_module("rushlight.as_torch")
except ModuleNotFoundError as error:
    if error.name != "rushlight":
        raise
    raise ModuleNotFoundError(
        f"{__name__} is rushlight's in this environment, but rushlight is not installed: "
        "pip install rushlight, or pip uninstall torch torchvision",
        name="rushlight",
    ) from None
importlib.import_module(__name__)
