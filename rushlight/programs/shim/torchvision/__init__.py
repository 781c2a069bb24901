"""rushlight, under PyTorch's name; the package torch beside it finds the modules of both names."""

import importlib
import sys

del sys.modules[__name__]
importlib.import_module("torch")
importlib.import_module(__name__)
