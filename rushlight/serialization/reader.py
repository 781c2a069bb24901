"""PyTorch's classes in C++ that read and write the archive of a ``.pt`` file record by record."""

__all__ = ["PyTorchFileReader", "PyTorchFileWriter"]


class _Missing:
    def __init__(self, *args, **kwargs):
        raise NotImplementedError(
            f"torch.{type(self).__name__}: records are not read and written one by one; use "
            "torch.load(mmap=True) and torch.save"
        )


class PyTorchFileReader(_Missing):
    """PyTorch's reader of single records. Rushlight does not have it.

    Raises:
        NotImplementedError: An object is made.
    """


class PyTorchFileWriter(_Missing):
    """PyTorch's writer of single records. Rushlight does not have it.

    Raises:
        NotImplementedError: An object is made.
    """
