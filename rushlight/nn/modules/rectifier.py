"""Rectifiers with a threshold, with a smooth lower part, or with learned or random slopes."""

import rushlight
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter

__all__ = ["CELU", "PReLU", "RReLU", "Threshold"]


class Threshold(Module):
    """x if x is above ``threshold``, else ``value``.

    Shape: x: any → the same.

    Args:
        threshold: The number above which x stays as it is.
        value: The result for all other x.

    >>> import rushlight as torch
    >>> torch.nn.Threshold(1.0, 9.0)(torch.tensor([0.5, 2.0]))
    tensor([9., 2.])
    """

    __constants__ = ["threshold", "value", "inplace"]

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input):
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self):
        inplace = ", inplace=True" if self.inplace else ""
        return f"threshold={self.threshold}, value={self.value}{inplace}"


class CELU(Module):
    """x if x > 0, else α·(e^(x/α) − 1).

    Shape: x: any → the same.

    Args:
        alpha: The α of the formula; the results are above −α. Default: 1.

    Source: Barron 2017, https://arxiv.org/abs/1704.07483

    >>> import rushlight as torch
    >>> torch.nn.CELU(2.0)(torch.tensor([-1.0, 2.0]))
    tensor([-0.7869,  2.0000])
    """

    __constants__ = ["alpha", "inplace"]

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input):
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self):
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    """x if x > 0, else a learned slope times x.

    There is one slope, or one for each channel.

    Shape: x: (N, C, *) with ``num_parameters`` C, or (*) with 1 → the same.

    Args:
        num_parameters: Number of slopes: 1, or the number C of channels. Default: 1.
        init: The slopes before training. Default: 0.25.

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852

    >>> import rushlight as torch
    >>> torch.nn.PReLU()(torch.tensor([-1.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])
    """

    __constants__ = ["num_parameters"]

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(rushlight.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self):
        """Set each slope to ``init`` again."""
        init.constant_(self.weight, self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """x if x > 0, else a random slope times x.

    The slope of each element is drawn uniformly from ``lower`` to ``upper``. In evaluation, all
    slopes are the mean of ``lower`` and ``upper``.

    Shape: x: any → the same.

    Source: Xu et al. 2015, https://arxiv.org/abs/1505.00853

    >>> import rushlight as torch
    >>> torch.nn.RReLU(0.1, 0.3).eval()(torch.tensor([-1.0, 2.0]))
    tensor([-0.2000,  2.0000])
    """

    __constants__ = ["lower", "upper", "inplace"]

    def __init__(self, lower=1 / 8, upper=1 / 3, inplace=False):
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input):
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self):
        inplace = ", inplace=True" if self.inplace else ""
        return f"lower={self.lower}, upper={self.upper}{inplace}"
