"""Tensors to NumPy and other libraries: shared memory by NumPy's protocols and by DLPack."""

import numpy as np

from rushlight import dtype as dtypes
from rushlight.ops.data import from_numpy
from rushlight.tensor import method, reads_values


@reads_values
def numpy(self, *, force=False):
    """The tensor's memory as a NumPy array, shared both ways.

    ``force`` detaches first.

    Raises:
        RuntimeError: the tensor requires grad.
        TypeError: its dtype is bfloat16, which NumPy lacks.

    >>> import rushlight as torch
    >>> torch.ones(2).numpy()
    array([1., 1.], dtype=float32)
    """
    if self.requires_grad and not force:
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if self.array.dtype == dtypes.bfloat16.numpy:
        raise TypeError("Got unsupported ScalarType BFloat16: NumPy has no such type; use .float()")
    return self.array.view(np.ndarray)


@reads_values
def __array__(self, dtype=None, copy=None):
    array = numpy(self)
    if dtype is not None and np.dtype(dtype) != array.dtype:
        if copy is False:
            raise ValueError(f"__array__: a conversion from {array.dtype} to {dtype} needs a copy")
        return array.astype(dtype)
    return array.copy() if copy else array


@method
def __array_wrap__(self, array, context=None, return_scalar=False):
    array = np.asarray(array)
    return from_numpy(array.astype(np.uint8) if array.dtype == bool else array)


@reads_values
def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
    """A DLPack capsule over the tensor's memory."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self.array.dtype == dtypes.bfloat16.numpy:
        raise BufferError("bfloat16 cannot be exported: NumPy, which writes the capsule, lacks it")
    options = {"max_version": max_version} if max_version is not None else {}
    if dl_device is not None:
        options["dl_device"] = tuple(dl_device)
    if copy is not None:
        options["copy"] = copy
    return self.array.__dlpack__(**options)


@method
def __dlpack_device__(self):
    """(1, 0): DLPack's CPU."""
    return self.array.__dlpack_device__()
