"""``torch.special``: special functions, computed element by element.

>>> import rushlight as torch
>>> torch.special.ndtr(torch.tensor([0.0]))
tensor([0.5000])
"""

from rushlight.ops.elementwise.activation import sigmoid as expit
from rushlight.ops.elementwise.exponential import exp2, expm1, log1p, logit, xlogy
from rushlight.ops.elementwise.rounding import round
from rushlight.ops.elementwise.special import (
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
from rushlight.ops.elementwise.special import digamma as psi
from rushlight.ops.elementwise.special import igamma as gammainc
from rushlight.ops.elementwise.special import igammac as gammaincc
from rushlight.ops.elementwise.special import lgamma as gammaln
from rushlight.ops.elementwise.special import mvlgamma as multigammaln
from rushlight.ops.elementwise.trigonometry import sinc
from rushlight.ops.reduce.softmax import log_softmax, logsumexp, softmax

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc",
    "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax",
    "xlog1py", "xlogy", "zeta",
]  # fmt: skip
