"""``torch.utils.collect_env``: what a report of a fault should say about the machine."""

import platform
import sys
from importlib import metadata
from typing import NamedTuple

__all__ = ["SystemEnv", "get_env_info", "get_pretty_env_info", "main", "pretty_str"]

_LIBRARIES = ("numpy", "ml_dtypes", "scipy", "llvmlite", "torch")


def _version(library):
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "Could not collect"


class SystemEnv(NamedTuple):
    """What is known of the machine; the names of the fields are PyTorch's."""

    torch_version: str
    is_debug_build: str
    cuda_compiled_version: str
    os: str
    libc_version: str
    python_version: str
    python_platform: str
    is_cuda_available: str
    cpu_info: str
    num_threads: int
    pip_packages: str


def get_env_info():
    """Return what ``get_pretty_env_info`` describes.

    Returns:
        A ``SystemEnv``, a named tuple.

    >>> from rushlight.utils.collect_env import get_env_info
    >>> "numpy==" in get_env_info().pip_packages
    True
    """
    from rushlight import __version__
    from rushlight.threads import get_num_threads

    bits = sys.maxsize.bit_length() + 1
    return SystemEnv(
        torch_version=__version__,
        is_debug_build="False",
        cuda_compiled_version="None",
        os=platform.platform(),
        libc_version="-".join(platform.libc_ver()) or "N/A",
        python_version=f"{sys.version.splitlines()[0]} ({bits}-bit runtime)",
        python_platform=platform.platform(),
        is_cuda_available="False",
        cpu_info=platform.processor() or platform.machine(),
        num_threads=get_num_threads(),
        pip_packages="\n".join(f"{library}=={_version(library)}" for library in _LIBRARIES),
    )


def get_pretty_env_info():
    """Describe rushlight, Python, the machine and the libraries.

    Returns:
        A string of several lines.

    >>> from rushlight.utils.collect_env import get_pretty_env_info
    >>> get_pretty_env_info().startswith("rushlight version:")
    True
    """
    return pretty_str(get_env_info())


def pretty_str(envinfo):
    """Return the fields of a ``SystemEnv`` as text of several lines.

    >>> from rushlight.utils.collect_env import get_env_info, pretty_str
    >>> "Is debug build: False" in pretty_str(get_env_info())
    True
    """
    lines = [
        f"rushlight version: {envinfo.torch_version}",
        f"Is debug build: {envinfo.is_debug_build}",
        f"CUDA used to build rushlight: {envinfo.cuda_compiled_version}",
        "",
        f"OS: {envinfo.os}",
        f"Libc version: {envinfo.libc_version}",
        "",
        f"Python version: {envinfo.python_version}",
        f"Python platform: {envinfo.python_platform}",
        f"Is CUDA available: {envinfo.is_cuda_available}",
        "",
        f"CPU: {envinfo.cpu_info}",
        f"Threads: {envinfo.num_threads}",
        "",
        "Versions of relevant libraries:",
        *[f"[pip3] {line}" for line in envinfo.pip_packages.splitlines()],
    ]
    return "\n".join(lines)


def main():
    """Print ``get_pretty_env_info()``: ``python -m rushlight.utils.collect_env``."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
