"""Levels of observation: how far a frame is observed depends on whose code it runs."""

import os
import re
import sysconfig
from importlib.util import find_spec
from weakref import WeakKeyDictionary

__all__ = ["LIBRARY", "NOT", "OURS", "USERS", "is_inside", "is_installed", "level_of"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_STANDARD = tuple([sysconfig.get_paths()[kind] + os.sep for kind in ("stdlib", "platstdlib")])
_SITES = re.compile(r"[\\/](site|dist)-packages[\\/]")


def _needed():
    """Where the packages lie that rushlight computes with, wherever they were installed."""
    for name in ("numpy", "scipy", "llvmlite", "threadpoolctl"):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            is_folder = spec.submodule_search_locations is not None
            yield os.path.dirname(spec.origin) + os.sep if is_folder else spec.origin


#: Packages that rushlight computes with. They call no functions but those they are given.
_NEEDED = tuple(_needed())
#: Parts of rushlight that hold the user's state; they are followed like the user's own code.
_FOLLOWED = tuple([
    _PACKAGE + part.replace("/", os.sep)
    for part in (
        "nn/modules/", "nn/utils/", "distributions/", "vision/", "amp/grad_scaler",
        "optim/lr_scheduler/", "optim/swa_utils", "utils/_pytree",
    )
])  # fmt: skip
#: Exceptions, which are not followed: they pass a call on, look things up in a Module, or import.
_PASSED = tuple([
    _PACKAGE + f"nn{os.sep}modules{os.sep}{name}.py"
    for name in ("__init__", "call", "hooks", "backward", "registry")
])  # fmt: skip
_UNOBSERVED = {"__getattr__": _PACKAGE + f"nn{os.sep}modules{os.sep}module.py"}

#: The levels: code that is not followed; rushlight's, whose globals count as constants; code of
#: Python's library and of the packages that rushlight needs; the user's and all other code.
NOT, OURS, LIBRARY, USERS = range(4)
_levels: WeakKeyDictionary = WeakKeyDictionary()  # code → its level


def level_of(code):
    """How the frames of a code object are observed."""
    found = _levels.get(code)
    if found is None:
        found = _levels[code] = _level(code)
    return found


def is_installed(code):
    """Whether the code belongs to a package that pip installed."""
    return _SITES.search(code.co_filename) is not None


def is_inside(code):
    """Whether the code belongs to rushlight."""
    return code.co_filename.startswith(_PACKAGE)


def _level(code):
    name = code.co_filename
    if name == "<string>" and code.co_names == ("_tuple_new",):
        return NOT  # the constructor of a named tuple, which only calls that of the tuple
    if name.startswith(_NEEDED):
        return LIBRARY
    if name.startswith(_PACKAGE):
        if not name.startswith(_FOLLOWED) or name.startswith(_PASSED):
            return NOT
        return NOT if _UNOBSERVED.get(code.co_name) == name else OURS
    if name.startswith("<frozen ") or (name.startswith(_STANDARD) and not _SITES.search(name)):
        return NOT if "importlib" in name or name.endswith("weakref.py") else LIBRARY
    return USERS
