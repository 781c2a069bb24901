"""Activations: layers without parameters that work on each element or along one dim."""

import warnings

import rushlight
from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module

__all__ = [
    "ELU", "GELU", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish",
    "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin",
    "Softplus", "Tanh",
]  # fmt: skip


class _Inplace(Module):
    """An activation whose only option is to write its result into its input."""

    __constants__ = ["inplace"]

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class ReLU(_Inplace):
    """max(0, x).

    Shape: x: any → the same.

    >>> import rushlight as torch
    >>> torch.nn.ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input):
        return F.relu(input, inplace=self.inplace)


class SiLU(_Inplace):
    """x · sigmoid(x).

    Shape: x: any → the same.

    Source: Elfwing et al. 2017, https://arxiv.org/abs/1702.03118

    >>> import rushlight as torch
    >>> torch.nn.SiLU()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """

    def forward(self, input):
        return F.silu(input, inplace=self.inplace)


class Mish(_Inplace):
    """x · tanh(softplus(x)).

    Shape: x: any → the same.

    Source: Misra 2019, https://arxiv.org/abs/1908.08681

    >>> import rushlight as torch
    >>> torch.nn.Mish()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8651])
    """

    def forward(self, input):
        return F.mish(input, inplace=self.inplace)


class SELU(_Inplace):
    """scale · (max(0, x) + min(0, α·(eˣ − 1))), where scale is about 1.0507 and α about 1.6733.

    With these numbers the elements keep mean 0 and variance 1 from layer to layer.

    Shape: x: any → the same.

    Source: Klambauer et al. 2017, https://arxiv.org/abs/1706.02515

    >>> import rushlight as torch
    >>> torch.nn.SELU()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 1.0507])
    """

    def forward(self, input):
        return F.selu(input, self.inplace)


class Hardswish(_Inplace):
    """x · relu6(x + 3) / 6.

    Shape: x: any → the same.

    Source: Howard et al. 2019, https://arxiv.org/abs/1905.02244

    >>> import rushlight as torch
    >>> torch.nn.Hardswish()(torch.tensor([-4.0, 3.0]))
    tensor([-0., 3.])
    """

    def forward(self, input):
        return F.hardswish(input, self.inplace)

    def extra_repr(self):
        return ""


class Hardtanh(Module):
    """x, limited to the range from ``min_val`` to ``max_val``.

    Shape: x: any → the same.

    Args:
        min_value, max_value: Deprecated; give ``min_val`` and ``max_val``.

    Raises:
        AssertionError: ``max_val`` is not greater than ``min_val``.

    >>> import rushlight as torch
    >>> torch.nn.Hardtanh()(torch.tensor([-4.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    __constants__ = ["min_val", "max_val", "inplace"]

    def __init__(
        self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None
    ):  # fmt: skip
        super().__init__()
        if min_value is not None:
            min_val = _renamed("min_value", "min_val", min_value)
        if max_value is not None:
            max_val = _renamed("max_value", "max_val", max_value)
        if max_val <= min_val:
            raise AssertionError(
                f"{type(self).__name__}: max_val={max_val} must be greater than min_val={min_val}"
            )
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input):
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self):
        inplace = ", inplace=True" if self.inplace else ""
        return f"min_val={self.min_val}, max_val={self.max_val}{inplace}"


def _renamed(old, new, value):
    warnings.warn(f"Hardtanh: {old} is deprecated; use {new}", FutureWarning, stacklevel=3)
    return value


class ReLU6(Hardtanh):
    """min(max(0, x), 6).

    Shape: x: any → the same.

    >>> import rushlight as torch
    >>> torch.nn.ReLU6()(torch.tensor([-1.0, 8.0]))
    tensor([0., 6.])
    """

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ).

    Shape: x: any → the same.

    >>> import rushlight as torch
    >>> torch.nn.Sigmoid()(torch.zeros(1))
    tensor([0.5000])
    """

    def forward(self, input):
        return rushlight.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent.

    Shape: x: any → the same.

    >>> import rushlight as torch
    >>> torch.nn.Tanh()(torch.ones(1))
    tensor([0.7616])
    """

    def forward(self, input):
        return rushlight.tanh(input)


class LogSigmoid(Module):
    """log(1 / (1 + e⁻ˣ)).

    Shape: x: any → the same.

    >>> import rushlight as torch
    >>> torch.nn.LogSigmoid()(torch.zeros(1))
    tensor([-0.6931])
    """

    def forward(self, input):
        return F.logsigmoid(input)


class ELU(Module):
    """x if x > 0, else α·(eˣ − 1).

    Shape: x: any → the same.

    Args:
        alpha: The α of the formula; the results are above −α. Default: 1.

    Source: Clevert et al. 2015, https://arxiv.org/abs/1511.07289

    >>> import rushlight as torch
    >>> torch.nn.ELU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    __constants__ = ["alpha", "inplace"]

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input):
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self):
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class LeakyReLU(Module):
    """x if x > 0, else ``negative_slope``·x.

    Shape: x: any → the same.

    >>> import rushlight as torch
    >>> torch.nn.LeakyReLU(0.1)(torch.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    __constants__ = ["inplace", "negative_slope"]

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self):
        inplace = ", inplace=True" if self.inplace else ""
        return f"negative_slope={self.negative_slope}{inplace}"


class GELU(Module):
    """x · Φ(x), where Φ is the distribution function of the normal distribution.

    Shape: x: any → the same.

    Args:
        approximate: ``"none"`` (default) for the exact Φ, or ``"tanh"`` for an approximation.

    Source: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415

    >>> import rushlight as torch
    >>> torch.nn.GELU()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8413])
    """

    __constants__ = ["approximate"]

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """log(1 + e^(β·x)) / β, but x itself if β·x exceeds ``threshold``.

    Shape: x: any → the same.

    Args:
        beta: The β of the formula: the larger it is, the closer is the result to max(0, x).
            Default: 1.
        threshold: The result is x itself where β·x is above this number. Default: 20.

    >>> import rushlight as torch
    >>> torch.nn.Softplus()(torch.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])
    """

    __constants__ = ["beta", "threshold"]

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class _AlongDim(Module):
    __constants__ = ["dim"]

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__dict__.setdefault("dim", None)

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """eˣ / ∑ eˣ along ``dim``.

    Shape: x: any → the same.

    Args:
        dim: The dim along which the result sums to 1. Without ``dim``, which is deprecated, it is 0
            for an input of 0, 1 or 3 dims, and 1 otherwise.

    >>> import rushlight as torch
    >>> torch.nn.Softmax(dim=0)(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """

    def forward(self, input):
        return F.softmax(input, self.dim, _stacklevel=5)


class LogSoftmax(_AlongDim):
    """log(eˣ / ∑ eˣ) along ``dim``.

    Shape: x: any → the same.

    Args:
        dim: The dim along which eˣ is summed. Without ``dim``, which is deprecated, it is 0 for an
            input of 0, 1 or 3 dims, and 1 otherwise.

    >>> import rushlight as torch
    >>> torch.nn.LogSoftmax(dim=0)(torch.zeros(2))
    tensor([-0.6931, -0.6931])
    """

    def forward(self, input):
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmin(_AlongDim):
    """e⁻ˣ / ∑ e⁻ˣ along ``dim``.

    Shape: x: any → the same.

    Args:
        dim: The dim along which the result sums to 1. Without ``dim``, which is deprecated, it is 0
            for an input of 0, 1 or 3 dims, and 1 otherwise.

    >>> import rushlight as torch
    >>> torch.nn.Softmin(dim=0)(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """

    def forward(self, input):
        return F.softmin(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """The softmax over the channels at each pixel.

    Shape: x: (N, C, H, W) or (C, H, W) → the same.

    Raises:
        ValueError: x has another number of dims.

    >>> import rushlight as torch
    >>> torch.nn.Softmax2d()(torch.zeros(2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """

    def forward(self, input):
        if input.ndim not in (3, 4):
            raise ValueError(
                f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead: "
                f"{tuple(input.shape)}"
            )
        return F.softmax(input, -3)
