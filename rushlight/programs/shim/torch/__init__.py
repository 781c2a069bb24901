"""``torch`` in the Python processes that a program under ``rushlight run`` starts."""

import importlib
import sys

del sys.modules["torch"]
importlib.import_module("rushlight.as_torch")
importlib.import_module("torch")
