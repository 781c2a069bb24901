"""``torch.__config__``: how this installation computes."""

import platform

__all__ = ["parallel_info", "show"]


def show():
    """Return a description of rushlight, of the libraries it computes with, and of the processor.

    Returns:
        A string of several lines.

    >>> import rushlight as torch
    >>> torch.__config__.show().startswith("rushlight")
    True
    """
    import ml_dtypes
    import numpy as np

    from rushlight import __version__
    from rushlight.backend.native import llvm_works

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    compiler = "LLVM through llvmlite" if llvm_works() else "none: NumPy computes everything"
    return "\n".join([
        f"rushlight {__version__} built with:",
        f"  - Python {platform.python_version()}",
        f"  - NumPy {np.__version__}, with {blas['name']} {blas['version']}",
        f"  - ml_dtypes {ml_dtypes.__version__}",
        f"  - Compiler: {compiler}",
        f"  - Processor: {platform.processor() or platform.machine()}",
        "",
    ])  # fmt: skip


def parallel_info():
    """Return a description of the threads that operations use.

    Returns:
        A string of several lines.

    >>> import rushlight as torch
    >>> print(torch.__config__.parallel_info().split("\\n")[0])
    Threads of rushlight:
    """
    import os

    from rushlight.defaults import get_num_interop_threads
    from rushlight.threads import get_num_threads

    return (
        "Threads of rushlight:\n"
        f"\ttorch.get_num_threads() : {get_num_threads()}\n"
        f"\ttorch.get_num_interop_threads() : {get_num_interop_threads()}\n"
        f"\tos.cpu_count() : {os.cpu_count()}\n"
    )
