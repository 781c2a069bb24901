"""torch.utils._dtype_abbrs: the short names of dtypes that logs of tensors show."""

from rushlight.dtype import DTYPES
from rushlight.dtype import bool as bool_

__all__: list[str] = []

_PARTS = (("uint", "u"), ("int", "i"), ("bfloat", "bf"), ("float", "f"), ("complex", "c"))


def _short(name):
    for long, short in _PARTS:
        if name.startswith(long):
            return short + name[len(long) :].replace("_", "")
    return name


#: From each dtype to its short name, such as ``f32``.
dtype_abbrs = {kind: _short(str(kind).removeprefix("torch.")) for kind in DTYPES}
dtype_abbrs[bool_] = "b8"
