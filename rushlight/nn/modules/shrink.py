"""Activations that shrink or limit each element, and GLU, whose second half gates the first."""

from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module

__all__ = ["GLU", "Hardshrink", "Hardsigmoid", "Softshrink", "Softsign", "Tanhshrink"]


class GLU(Module):
    """The first half of ``dim`` times the sigmoid of the second half.

    Shape: x: (*, 2n, *) → (*, n, *).

    Args:
        dim: The dim to split, whose size is even. Default: the last dim.

    Source: Dauphin et al. 2016, https://arxiv.org/abs/1612.08083

    >>> import rushlight as torch
    >>> torch.nn.GLU()(torch.tensor([3.0, 0.0]))
    tensor([1.5000])
    """

    __constants__ = ["dim"]

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.glu(input, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class Hardshrink(Module):
    """x if |x| > λ, else 0.

    Shape: x: any → the same.

    Args:
        lambd: The λ of the formula. Default: 0.5.

    >>> import rushlight as torch
    >>> torch.nn.Hardshrink()(torch.tensor([-0.25, 2.0]))
    tensor([0., 2.])
    """

    __constants__ = ["lambd"]

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        return F.hardshrink(input, self.lambd)

    def extra_repr(self):
        return str(self.lambd)


class Softshrink(Module):
    """x moved towards 0 by λ; if |x| ≤ λ the result is 0.

    Shape: x: any → the same.

    Args:
        lambd: The λ of the formula, not negative. Default: 0.5.

    Raises:
        RuntimeError: λ is negative (in the call).

    >>> import rushlight as torch
    >>> torch.nn.Softshrink()(torch.tensor([-1.0, 2.0]))
    tensor([-0.5000,  1.5000])
    """

    __constants__ = ["lambd"]

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        return F.softshrink(input, self.lambd)

    def extra_repr(self):
        return str(self.lambd)


class Tanhshrink(Module):
    """x − tanh(x).

    Shape: x: any → the same.

    >>> import rushlight as torch
    >>> torch.nn.Tanhshrink()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """

    def forward(self, input):
        return F.tanhshrink(input)


class Softsign(Module):
    """x / (1 + |x|).

    Shape: x: any → the same.

    >>> import rushlight as torch
    >>> torch.nn.Softsign()(torch.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    def forward(self, input):
        return F.softsign(input)


class Hardsigmoid(Module):
    """x/6 + 1/2, limited to [0, 1].

    Shape: x: any → the same.

    >>> import rushlight as torch
    >>> torch.nn.Hardsigmoid()(torch.tensor([-4.0, 0.0, 3.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """

    __constants__ = ["inplace"]

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return F.hardsigmoid(input, self.inplace)
