"""The import finder: ``import torch.x.y`` gives rushlight's module for it."""

import contextlib
import dis
import importlib
import importlib.metadata
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import rushlight
from rushlight.programs.naming import rename, renamed
from rushlight.programs.places import GAP, INTERNAL, locate, members, names_from
from rushlight.serialization.names import CALLS
from rushlight.version import __version__
from rushlight.version import vision as vision_version

__all__ = ["install"]

_PACKAGES = ("torch", "torchvision", "functorch")


def install():
    """Let ``import torch`` and all its submodules, and torchvision's, give rushlight's.

    Raises:
        RuntimeError: PyTorch is imported in this process already.
    """
    if any(isinstance(finder, TorchFinder) for finder in sys.meta_path):
        return
    loaded = sys.modules.get("torch")
    if loaded is not None and not hasattr(loaded, "__rushlight__"):
        raise RuntimeError(
            "PyTorch is already imported in this process, so rushlight cannot take its name: "
            "import rushlight.as_torch before everything that imports torch"
        )
    sys.meta_path.insert(0, TorchFinder())


def _torch():
    """The module ``torch``: rushlight's public names, under PyTorch's version.

    It is an ordinary module, so Python reads its names as fast as any other module's.
    """
    torch = ModuleType("torch", rushlight.__doc__)
    own = vars(torch)
    own.update({name: getattr(rushlight, name) for name in rushlight.__all__})
    own.update(
        __rushlight__=True,
        __all__=[name for name in rushlight.__all__ if name not in INTERNAL],
        __version__=__version__,
        __file__=rushlight.__file__,
        __path__=[],
        torch=torch,  # PyTorch's package imports itself, and libraries write torch.torch
    )
    rename(torch, "torch")

    def __getattr__(name):
        dunder = name.startswith("__") and name.endswith("__")
        dunder = dunder and name not in ("__config__", "__future__")
        if name in INTERNAL or dunder:
            _refuse("torch", name)
        try:
            found = getattr(rushlight, name)
        except AttributeError:
            if locate(f"torch.{name}") is None:
                _refuse("torch", name)
            found = importlib.import_module(f"torch.{name}")
        if isinstance(found, ModuleType) and found.__name__.startswith("rushlight."):
            found = importlib.import_module(f"torch.{name}")
        own[name] = found  # the next access does not call __getattr__
        return found

    def __dir__():
        lazy = {name for name in dir(rushlight) if not name.startswith("__")}
        return sorted({*own, *lazy} - INTERNAL)

    own.update(__getattr__=__getattr__, __dir__=__dir__)
    return torch


class TorchFinder(MetaPathFinder):
    """Finds torch, torchvision and their modules; reports modules that rushlight lacks."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] not in _PACKAGES:
            return None
        place = locate(fullname)
        if place is None:
            asked_by = sys._getframe(2).f_code.co_name
            if asked_by != "_find_and_load_unlocked":  # importlib.util.find_spec only asks
                return None
            raise ModuleNotFoundError(f"No module named {fullname!r}: {GAP}", name=fullname)
        return ModuleSpec(fullname, AliasLoader(place), origin=rushlight.__file__, is_package=True)

    def find_distributions(self, context=None):
        """What ``importlib.metadata`` is told of distributions called torch and torchvision."""
        name = getattr(context, "name", None)
        return [Distribution(own) for own in _PACKAGES if name is None or name.lower() == own]


class Distribution(importlib.metadata.Distribution):
    """An installed distribution, "torch" or "torchvision", whose version libraries ask for."""

    def __init__(self, name):
        self._name = name

    def read_text(self, filename):
        if filename != "METADATA":
            return None
        version = __version__ if self._name == "torch" else vision_version
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {version}\n"

    def locate_file(self, path):
        return path


class AliasLoader(Loader):
    """Puts rushlight's module ``place`` where the import system looks for PyTorch's."""

    def __init__(self, place):
        self._place = place

    def create_module(self, spec):
        return None  # the import system makes an ordinary module, which exec_module replaces

    def exec_module(self, module):
        name, spec = module.__name__, module.__spec__
        if name == "torch":
            found: Any = _torch()
            found.__spec__ = spec
            sys.modules["torch.ops"] = rushlight.ops  # not rushlight's package of that name
        elif self._place == "rushlight":  # PyTorch's module has its names in torch itself
            found = importlib.import_module("torch")
        else:
            found = importlib.import_module(self._place)
            if not hasattr(found, "__path__"):
                # PyTorch may have a package of this name. With __path__ its modules can be found.
                found.__path__ = []
            _adopt(found, name)
        sys.modules[name] = found


def _adopt(module, path):
    """Give ``module``, and the modules it has loaded, PyTorch's names and errors."""
    own = vars(module).get("__getattr__")
    if getattr(own, "__rushlight__", False):
        return
    rename(module, path)
    _explain_gaps(module, path, own)
    for name, value in list(vars(module).items()):
        if isinstance(value, ModuleType) and value.__name__ == f"{module.__name__}.{name}":
            _adopt(value, f"{path}.{name}")
            sys.modules.setdefault(f"{path}.{name}", value)  # its functions say that they are there
        elif f"{module.__name__}.{name}" in sys.modules:
            # A module that a function of the same name hides, such as weight_norm. Importing the
            # module under PyTorch's name would replace the function, so it is registered here.
            hidden = sys.modules[f"{module.__name__}.{name}"]
            _adopt(hidden, f"{path}.{name}")
            sys.modules[f"{path}.{name}"] = hidden
    for name in members(path):
        # So would a module that rushlight has no file for, where the package's ``__all__`` has a
        # function of this name (gradcheck).
        if name in vars(module)["__all__"] and locate(f"{path}.{name}") == module.__name__:
            sys.modules[f"{path}.{name}"] = module


def _explain_gaps(module, path, own):
    """Let a name that ``module`` lacks raise an error that says that rushlight lacks the name."""

    def __getattr__(name):
        if own is not None:
            with contextlib.suppress(AttributeError):
                found = own(name)
                if isinstance(found, ModuleType) and found.__name__ == f"{module.__name__}.{name}":
                    return importlib.import_module(f"{path}.{name}")
                return renamed(found, name, path)
        package = names_from(path)
        if package is not None and not name.startswith("__"):
            siblings = vars(importlib.import_module(package))
            if name in siblings:
                return siblings[name]
        if not name.startswith("__") and locate(f"{path}.{name}") is not None:
            # ``import torch`` alone imports many of PyTorch's modules (torch.nn.common_types).
            return importlib.import_module(f"{path}.{name}")
        if (path, name) in CALLS:  # a plain pickle of PyTorch's names this function
            return CALLS[path, name]
        return _refuse(path, name)

    vars(__getattr__)["__rushlight__"] = True
    module.__getattr__ = __getattr__


def _refuse(path, name):
    asker = sys._getframe(2)
    if dis.opname[asker.f_code.co_code[asker.f_lasti]] == "IMPORT_FROM":
        raise ImportError(f"cannot import name {name!r} from {path!r}: {GAP}", name=path)
    raise AttributeError(f"module {path!r} has no attribute {name!r}: {GAP}", name=name)
