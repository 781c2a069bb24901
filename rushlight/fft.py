"""Discrete Fourier transforms: ``torch.fft``.

>>> import rushlight as torch
>>> torch.fft.rfft(torch.tensor([1.0, 0.0, 0.0, 0.0]))
tensor([1.+0.j, 1.+0.j, 1.+0.j])
"""

from rushlight.docstrings import document
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.guard import of_space
from rushlight.ops.fft.frequencies import fftfreq, fftshift, ifftshift, rfftfreq
from rushlight.ops.fft.many_dims import (
    fft2,
    fftn,
    hfft2,
    hfftn,
    ifft2,
    ifftn,
    ihfft2,
    ihfftn,
    irfft2,
    irfftn,
    rfft2,
    rfftn,
)
from rushlight.ops.fft.one_dim import fft, hfft, ifft, ihfft, irfft, rfft
from rushlight.tensor import Tensor as Tensor  # a name of torch.fft, too

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2",
    "ifftn", "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft",
    "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

_KINDS = {"norm": "str", "s": "ints", "d": "float"}


def _published(name):
    """The function ``name`` with its arguments' kinds, its whole docstring, and a guard."""
    call = document(globals()[name], "fft")
    dims = "int" if call.__module__.endswith("one_dim") else "ints"
    return of_space(takes(kinds={**_KINDS, "dim": dims})(call), "fft", name, strict=True)


for _name in __all__:
    globals()[_name] = _published(_name)
