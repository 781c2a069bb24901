"""torch._C._nn: the functions of ``torch.nn.functional`` that PyTorch defines in C."""

from rushlight.nn import functional
from rushlight.nn.modules.conversion import parse_to as _parse_to  # noqa: F401

__all__: list[str] = []


def __getattr__(name):
    return getattr(functional, name)
