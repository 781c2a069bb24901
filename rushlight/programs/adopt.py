"""``rushlight adopt``: make rushlight the ``torch`` of the environment that it is installed in.

Two packages of a few lines, ``torch`` and ``torchvision``, are written where pip installs packages,
each with the record of an installed distribution. So ``import torch`` works without a wrapper, and
pip does not bring PyTorch when a library asks for it.
"""

import base64
import contextlib
import hashlib
import importlib.machinery
import importlib.metadata
import os
import shutil
import site
import sys
import sysconfig
import tempfile
from pathlib import Path

from rushlight.ours import PACKAGES

__all__ = ["AdoptError", "Adoption", "adopt", "undo"]

SHIM = Path(__file__).parent / "shim"
INSTALLER = "rushlight"
FIRST_WORDS = b'"""rushlight, under'  # of the packages that are written, in every version


class AdoptError(Exception):
    """The environment cannot be changed; the message says why, and what to do."""


class Adoption:
    """What stands for PyTorch in the folder ``site`` where an environment has its packages.

    Attributes:
        site: the folder.
        names: distribution -> version of those that rushlight stands for.
    """

    def __init__(self, folder=None):
        self.site = Path(folder or _site())
        self.names = {name: _version(name) for name in PACKAGES if name != "rushlight"}

    def ours(self):
        """The distributions of these names that rushlight has written here."""
        return [d for d in self._installed([str(self.site)]) if _is_ours(d)]

    def others(self):
        """(name, version) of PyTorch's own packages that this environment has.

        A package without a record counts, too; its version is "".
        """
        path = [str(self.site), *sys.path]
        found = {d.name.lower(): d.version for d in self._installed(path) if not _is_ours(d)}
        for name in self.names:
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            if spec is not None and not self._is_shim(spec):
                found.setdefault(name, "")
        return sorted(found.items())

    def _installed(self, path):
        for name in self.names:
            context = importlib.metadata.DistributionFinder.Context(name=name, path=path)
            yield from importlib.metadata.MetadataPathFinder.find_distributions(context)

    def _is_shim(self, spec):
        if spec.origin is None:  # a folder of this name without __init__.py is no package
            return True
        with contextlib.suppress(OSError), open(spec.origin, "rb") as file:
            return file.read(len(FIRST_WORDS)) == FIRST_WORDS
        return False

    def write(self):
        """Write the packages and their records; return the paths, relative to ``site``."""
        self.remove()
        written = []
        with tempfile.TemporaryDirectory(prefix="~rushlight-", dir=self.site) as draft:
            for name, version in self.names.items():
                record = f"{name}-{version}.dist-info"
                shutil.copytree(SHIM / name, Path(draft, name), ignore=_no_bytecode)
                Path(draft, record).mkdir()
                for file, text in _metadata(name, version).items():
                    Path(draft, record, file).write_text(text, encoding="utf-8", newline="\n")
                _write_record(Path(draft), name, record)
                written += [name, record]
            for name in written:  # whole folders take their places, one after the other
                os.rename(Path(draft, name), self.site / name)
        return written

    def remove(self):
        """Remove what ``write`` has written, and what is left of a run that was stopped."""
        gone = []
        for name in self.names:
            spec = importlib.machinery.PathFinder.find_spec(name, [str(self.site)])
            if spec is not None and spec.origin is not None and self._is_shim(spec):
                gone.append(self.site / name)
        gone += [self.site / f"{d.name}-{d.version}.dist-info" for d in self.ours()]
        for folder in gone:
            shutil.rmtree(folder)
        return [folder.name for folder in gone]


def adopt():
    """Make rushlight the ``torch`` and ``torchvision`` of this environment; print what was written.

    Raises:
        AdoptError: PyTorch is installed here, or the environment may not be changed.
    """
    adoption = Adoption()
    _require_changeable(adoption.site)
    others = adoption.others()
    if others:
        names = " and ".join(f"{name} {version}".strip() for name, version in others)
        raise AdoptError(
            f"this environment has {names}, whose name rushlight cannot take: use a fresh "
            f"environment, or first pip uninstall {' '.join(name for name, _ in others)}"
        )
    with _explained(adoption.site):
        written = adoption.write()
    for name, version in adoption.names.items():
        print(f"{name} {version} is rushlight in this environment")
    print(f"written to {adoption.site}: {', '.join(written)}")
    print("rushlight adopt --undo takes it back")


def undo():
    """Take back what ``adopt`` has written; print what was removed.

    Raises:
        AdoptError: the environment may not be changed.
    """
    adoption = Adoption()
    with _explained(adoption.site):
        gone = adoption.remove()
    if gone:
        print(f"removed from {adoption.site}: {', '.join(gone)}")
    else:
        print(f"nothing to take back: rushlight is not torch in {adoption.site}")


def _site():
    """The folder of packages that rushlight lies in, or else the environment's."""
    usual = sysconfig.get_path("purelib")
    here = Path(__file__).parents[2]
    own = site.getusersitepackages()
    return own if site.ENABLE_USER_SITE and here == Path(own) else usual


def _version(name):
    from rushlight import version, vision

    return str({"torch": version, "torchvision": vision}[name].__version__)


def _is_ours(distribution):
    return (distribution.read_text("INSTALLER") or "").strip() == INSTALLER


def _no_bytecode(folder, names):
    return {name for name in names if name == "__pycache__"}


def _metadata(name, version):
    """The files that describe a distribution: file name -> text."""
    import rushlight

    return {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        f"Summary: rushlight, in the place of {name}\nRequires-Dist: rushlight\n",
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: rushlight {rushlight.__version__}\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
        "INSTALLER": f"{INSTALLER}\n",
        "top_level.txt": f"{name}\n",
        "REQUESTED": "",
    }


def _write_record(draft, name, record):
    """Write the list of files with their hashes, by which ``pip uninstall`` removes them."""
    lines = []
    for folder in (name, record):
        for file in sorted(Path(draft, folder).iterdir()):
            content = file.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            lines.append(f"{folder}/{file.name},sha256={digest.decode()},{len(content)}")
    lines.append(f"{record}/RECORD,,")
    Path(draft, record, "RECORD").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _require_changeable(folder):
    """Refuse an environment that the system's package manager keeps (PEP 668)."""
    marker = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if sys.prefix == sys.base_prefix and marker.exists():
        raise AdoptError(
            f"{folder} belongs to the system's package manager: make an environment of your own "
            "with python -m venv"
        )


@contextlib.contextmanager
def _explained(folder):
    try:
        yield
    except OSError as error:
        raise AdoptError(f"{folder} cannot be changed: {error.strerror or error}") from error
