"""``torch.special``: special functions, element by element.

>>> import rushlight as torch
>>> torch.special.ndtr(torch.tensor([0.0]))
tensor([0.5000])
"""

from rushlight.ops.activation import sigmoid as expit
from rushlight.ops.exponential import exp2, expm1, log1p, logit, xlogy
from rushlight.ops.rounding import round
from rushlight.ops.softmax import log_softmax, logsumexp, softmax
from rushlight.ops.special import (
    digamma,
    entr,
    erf,
    erfc,
    erfcx,
    erfinv,
    i0,
    i0e,
    i1,
    i1e,
    log_ndtr,
    ndtr,
    ndtri,
    polygamma,
    xlog1py,
    zeta,
)
from rushlight.ops.special import digamma as psi
from rushlight.ops.special import igamma as gammainc
from rushlight.ops.special import igammac as gammaincc
from rushlight.ops.special import lgamma as gammaln
from rushlight.ops.special import mvlgamma as multigammaln
from rushlight.ops.trigonometry import sinc

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc",
    "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax",
    "xlog1py", "xlogy", "zeta",
]  # fmt: skip
