"""Names for annotations: the kinds of values that functions take."""

import os
from collections.abc import Sequence
from typing import IO

from rushlight.device import device
from rushlight.dtype import dtype
from rushlight.ops.tensor.memory_format import layout
from rushlight.storage import Storage
from rushlight.tensor import Size, Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number = int | float | bool
Device = device | str | int | None
FileLike = str | os.PathLike[str] | IO[bytes]

_device, _dtype, _layout = device, dtype, layout
_int, _float, _bool, _complex, _str, _bytes = int, float, bool, complex, str, bytes
_Number = (int, float, bool)
_size = Size | list[int] | tuple[int, ...]
_TensorOrTensors = Tensor | Sequence[Tensor]
_TensorOrOptionalTensors = Tensor | Sequence[Tensor | None]
