"""``torch.utils.collect_env``: what a report of a fault should say about the machine."""

import platform
import sys
from importlib import metadata

__all__ = ["get_pretty_env_info", "main"]

_LIBRARIES = ("numpy", "ml_dtypes", "scipy", "llvmlite", "torch")


def _version(library):
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "Could not collect"


def get_pretty_env_info():
    """Describe rushlight, Python, the machine and the libraries.

    Returns:
        A string of several lines.

    >>> from rushlight.utils.collect_env import get_pretty_env_info
    >>> get_pretty_env_info().startswith("rushlight version:")
    True
    """
    from rushlight import __version__
    from rushlight.threads import get_num_threads

    bits = sys.maxsize.bit_length() + 1
    lines = [
        f"rushlight version: {__version__}",
        "Is debug build: False",
        "CUDA used to build rushlight: None",
        "",
        f"OS: {platform.platform()}",
        f"Libc version: {'-'.join(platform.libc_ver()) or 'N/A'}",
        "",
        f"Python version: {sys.version.splitlines()[0]} ({bits}-bit runtime)",
        f"Python platform: {platform.platform()}",
        "Is CUDA available: False",
        "",
        f"CPU: {platform.processor() or platform.machine()}",
        f"Threads: {get_num_threads()}",
        "",
        "Versions of relevant libraries:",
        *[f"[pip3] {library}=={_version(library)}" for library in _LIBRARIES],
    ]
    return "\n".join(lines)


def main():
    """Print ``get_pretty_env_info()``: ``python -m rushlight.utils.collect_env``."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
