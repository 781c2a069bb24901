"""What the build of the framework has: flags and questions of PyTorch's namespace ``torch``."""

import warnings
from typing import Any

from rushlight.backends import mkl, mkldnn, openmp
from rushlight.cuda import is_available as _has_cuda
from rushlight.tensor import Tensor

__all__ = ["compiled_with_cxx11_abi", "is_distributed", "is_vulkan_available"]

has_lapack = True  # SciPy's
has_spectral = True
has_mkl = mkl.is_available()
has_openmp = openmp.is_available()

#: Flags that PyTorch has deprecated → (the value, what to ask instead).
_DEPRECATED = {
    "has_cuda": (_has_cuda, "torch.backends.cuda.is_built()"),
    "has_cudnn": (lambda: False, "torch.backends.cudnn.is_available()"),
    "has_mkldnn": (mkldnn.is_available, "torch.backends.mkldnn.is_available()"),
    "has_mps": (lambda: False, "torch.backends.mps.is_built()"),
}


def __getattr__(name: str) -> Any:
    if name not in _DEPRECATED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ask, instead = _DEPRECATED[name]
    warnings.warn(f"'{name}' is deprecated, please use '{instead}'", stacklevel=3)
    return ask()


def compiled_with_cxx11_abi():
    """Return whether C++ extensions are compiled with the ABI of C++11.

    Returns:
        True, as PyTorch's builds.

    >>> import rushlight as torch
    >>> torch.compiled_with_cxx11_abi()
    True
    """
    return True


def is_vulkan_available(*ignored):
    """Return whether tensors can be on Vulkan's devices; PyTorch's ignores arguments, too.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.is_vulkan_available()
    False
    """
    return False


def is_distributed(input):
    """Return whether a tensor is distributed among processes: never; a DTensor is another thing.

    Args:
        input: Tensor.

    Returns:
        False.

    Raises:
        TypeError: ``input`` is no tensor.

    >>> import rushlight as torch
    >>> torch.is_distributed(torch.ones(2))
    False
    """
    if not isinstance(input, Tensor):
        raise TypeError(
            f"is_distributed(): argument 'input' must be Tensor, not {type(input).__name__}"
        )
    return False
