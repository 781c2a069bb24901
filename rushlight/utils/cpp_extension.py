"""torch.utils.cpp_extension: PyTorch's builder of C++ extensions, which rushlight does not have.

Libraries import these names, and do without the extension where building it fails.
"""

__all__ = ["BuildExtension", "CppExtension", "CUDAExtension", "load", "load_inline"]

_LACK = "rushlight has no C++ interface, so PyTorch's extensions cannot be built for it"

#: Where CUDA's compiler is; None, because nothing is compiled with it.
CUDA_HOME = None


def load(name, sources, *args, **kwargs):
    """Raise RuntimeError: PyTorch builds the extension ``name`` from files and imports it.

    Args:
        name, sources, args, kwargs: PyTorch's arguments.

    Raises:
        RuntimeError: always.

    >>> try:
    ...     load("mine", ["mine.cpp"])
    ... except RuntimeError as error:
    ...     print(str(error)[:34])
    torch.utils.cpp_extension.load: ru
    """
    raise RuntimeError(f"torch.utils.cpp_extension.load: {_LACK}")


def load_inline(name, cpp_sources, *args, **kwargs):
    """Raise RuntimeError: PyTorch builds the extension ``name`` from strings and imports it.

    Args:
        name, cpp_sources, args, kwargs: PyTorch's arguments.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError(f"torch.utils.cpp_extension.load_inline: {_LACK}")


def CppExtension(name, sources, *args, **kwargs):
    """Raise RuntimeError: PyTorch describes an extension for setuptools.

    Args:
        name, sources, args, kwargs: PyTorch's arguments.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError(f"torch.utils.cpp_extension.CppExtension: {_LACK}")


def CUDAExtension(name, sources, *args, **kwargs):
    """Raise RuntimeError: PyTorch describes an extension with CUDA code for setuptools.

    Args:
        name, sources, args, kwargs: PyTorch's arguments.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError(f"torch.utils.cpp_extension.CUDAExtension: {_LACK}")


class BuildExtension:
    """PyTorch's command of setuptools that builds extensions.

    Raises:
        RuntimeError: an object is made.
    """

    def __init__(self, *args, **kwargs):
        raise RuntimeError(f"torch.utils.cpp_extension.BuildExtension: {_LACK}")

    @classmethod
    def with_options(cls, **options):
        """Return the class itself.

        Args:
            **options: Accepted without effect.
        """
        return cls
