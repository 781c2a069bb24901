"""``rushlight doctor``: what this environment has, and which of its libraries ask for too much."""

import importlib.metadata
import platform
import re
import sys
from pathlib import Path

from rushlight.programs.adopt import Adoption

__all__ = ["doctor"]

_LIBRARIES = ("numpy", "scipy", "ml_dtypes", "llvmlite")
SHOWN = 5  # names that are listed for each library
#: Modules that other packages add to PyTorch for their devices. PyTorch has none of them either.
_PLUGINS = {
    "torch.hpu", "torch.mlu", "torch.musa", "torch.neuron", "torch.npu", "torch.sdaa",
    "torch.supa", "torch.tpu",
}  # fmt: skip


def doctor(every=False):
    """Print the versions, whose torch this environment has, and the libraries that require torch.

    For each library, the names of PyTorch are listed that its files use and rushlight lacks. Names
    of devices that PyTorch does not know by itself, such as ``torch.npu``, are left out.
    ``every``: list all of them, in place of the first five.

    Returns the exit code: 0, or 1 where a library that rushlight needs is missing.
    """
    import rushlight

    _line("rushlight", f"{rushlight.__version__}, in {Path(rushlight.__file__).parent}")
    _line("python", f"{platform.python_version()}, {sys.executable}")
    versions = {name: _version(name) for name in _LIBRARIES}
    for name, version in versions.items():
        _line(name, version or "not installed")
    if versions["llvmlite"] is None:
        print("            (without llvmlite, programs are replayed on NumPy instead of compiled)")
    _line("torch", _whose())
    for library, version, folders in _that_require_torch():
        _line(library, f"{version}: {_gaps(folders, every)}")
    return int(any(versions[name] is None for name in _LIBRARIES if name != "llvmlite"))


def _line(name, text):
    print(f"{name:11} {text}", flush=True)


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _whose():
    adoption = Adoption()
    others = [f"{name} {version}".strip() for name, version in adoption.others()]
    if others:
        return f"PyTorch's own: {', '.join(others)}"
    ours = [f"{d.name} {d.version}" for d in adoption.ours()]
    if ours:
        return f"rushlight, as {' and '.join(ours)} (rushlight adopt --undo takes it back)"
    return "nobody's (rushlight adopt makes it rushlight)"


def _that_require_torch():
    """(name, version, folders of its packages) of the installed libraries that name torch."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.name
        required = {re.split(r"[^\w.-]", text)[0] for text in distribution.requires or ()}
        if "torch" in required and name not in (*Adoption().names, "rushlight"):
            found[name] = (name, distribution.version, _folders(distribution))
    return [found[name] for name in sorted(found, key=str.lower)]


def _folders(distribution):
    """The packages that a distribution has installed."""
    files = distribution.files or []
    tops = {Path(str(file)).parts[0] for file in files if len(Path(str(file)).parts) > 1}
    folders = [Path(str(distribution.locate_file(top))) for top in sorted(tops)]
    return [folder for folder in folders if Path(folder, "__init__.py").exists()]


def _gaps(folders, every):
    from rushlight.programs.check import missing_in

    uses: dict[str, int] = {}
    for entry in missing_in(folders):
        if ".".join(entry.name.split(".")[:2]) in _PLUGINS:
            continue
        uses[entry.name] = uses.get(entry.name, 0) + 1
    if not uses:
        return "rushlight has every name of torch that it uses"
    names = sorted(uses, key=lambda name: (-uses[name], name))
    shown = names if every else names[:SHOWN]
    rest = [f"and {len(names) - len(shown)} more"] if len(shown) < len(names) else []
    plural = "" if len(names) == 1 else "s"
    return f"{len(names)} name{plural} missing: {', '.join(shown)} {' '.join(rest)}".rstrip()
