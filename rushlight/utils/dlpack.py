"""DLPack: memory shared with other array libraries."""

from enum import IntEnum

from rushlight import from_dlpack
from rushlight.tensor import Tensor

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]


class DLDeviceType(IntEnum):
    """The kinds of device that DLPack numbers.

    >>> import rushlight as torch
    >>> torch.utils.dlpack.DLDeviceType(1).name
    'kDLCPU'
    """

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14
    kDLWebGPU = 15
    kDLHexagon = 16
    kDLMAIA = 17


def to_dlpack(tensor):
    """Return a DLPack capsule of a tensor's memory, which one consumer can use.

    Args:
        tensor: Tensor of any shape ``(*)``.

    Returns:
        A ``PyCapsule`` named ``"dltensor"``. It shares the tensor's memory.

    Raises:
        TypeError: ``tensor`` is not a Tensor.

    >>> import rushlight as torch
    >>> x = torch.arange(3)
    >>> y = torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(x))
    >>> y[0] = 7
    >>> x
    tensor([7, 1, 2])
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"to_dlpack: expected a Tensor, got {type(tensor).__name__}")
    return tensor.detach().__dlpack__()
