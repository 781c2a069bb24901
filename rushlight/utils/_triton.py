"""torch.utils._triton: questions about Triton, which rushlight does not use."""

__all__ = ["has_triton", "has_triton_package"]


def has_triton():
    """Return whether kernels are written in Triton: no.

    >>> has_triton()
    False
    """
    return False


def has_triton_package():
    """Return whether kernels could be written in Triton: no.

    >>> has_triton_package()
    False
    """
    return False
