"""Devices: where a tensor's elements live."""

from functools import lru_cache

from rushlight import late

__all__ = ["DRIVEN", "device"]

#: The types of devices that have a driver: NVIDIA's GPUs, Intel's, and all devices with OpenCL.
DRIVEN = ("cuda", "xpu", "opencl")
# PyTorch's device types. Tensors live on the CPU, on devices with a driver, or nowhere ("meta").
_TYPES = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga",
    "maia", "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


class device:
    """A device's type and index.

    Args:
        type: ``"cpu"``, ``"cuda:1"`` and the like, a device, or the index of a CUDA device.
        index: The number of the device, if ``type`` does not tell it. Default: None.

    Raises:
        RuntimeError: the string names no device type, or the index is negative.

    >>> import rushlight as torch
    >>> torch.device("cpu"), torch.device("cuda:1").index
    (device(type='cpu'), 1)
    """

    __slots__ = ("index", "type")
    index: int | None
    type: str

    def __init__(self, type, index=None):
        if isinstance(type, device):
            type, index = type.type, type.index
        if isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", type
        if not isinstance(type, str):
            raise TypeError(
                "device(): argument 'type' must be str or torch.device, not "
                f"{type.__class__.__name__}"
            )
        name, colon, digits = type.partition(":")
        if colon:
            if index is not None:
                raise RuntimeError(
                    "type (string) must not include an index because index was passed explicitly: "
                    f"{type}"
                )
            if not digits.isdigit() or (len(digits) > 1 and digits[0] == "0"):
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(digits)
        if index is not None and index < 0:
            raise RuntimeError(f"device index must be non-negative, got {index}")
        if name not in _TYPES:
            raise RuntimeError(
                f"Expected one of {', '.join(_TYPES)} device type at start of device string: {type}"
            )
        self.type = name
        self.index = index

    def __repr__(self):
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __enter__(self):
        """Make new tensors on this device in the ``with`` block."""
        late.enter_device(self)
        return self

    def __exit__(self, *exc):
        late.leave_device()

    def __eq__(self, other):
        if not isinstance(other, device):
            return NotImplemented
        return self.type == other.type and self.index == other.index

    def __hash__(self):
        return hash((self.type, self.index))

    def __reduce__(self):
        return device, (self.type,) if self.index is None else (self.type, self.index)


CPU, META = device("cpu"), device("meta")
DeviceObjType = device  # PyTorch's other name of the class


@lru_cache
def _named(name):
    return device(name)


def require(d):
    """Return the device that ``d`` (None, str, int, device) names, or raise PyTorch's error.

    Tensors can be on the CPU, for which None stands, too, on the device ``meta``, and on devices
    with a driver. One of these without an index is the current one of its type.

    Raises:
        AssertionError: no device of the type ``cuda`` or ``xpu`` is there.
        RuntimeError: there is no such device.
    """
    if d is None or d is CPU:
        return CPU
    if not isinstance(d, device):
        d = _named(d) if type(d) is str else device(d)
    if d.type == "cpu":
        return CPU
    if d.type == "meta":
        return META
    if d.type in DRIVEN:
        return late.find_device(d)
    raise RuntimeError(
        f"device {d}: rushlight has the devices 'cpu', 'cuda', 'xpu', 'opencl' and 'meta'"
    )
