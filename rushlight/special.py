"""``torch.special``: special functions, computed element by element.

>>> import rushlight as torch
>>> torch.special.ndtr(torch.tensor([0.0]))
tensor([0.5000])
"""

from typing import Any

from rushlight.ops.core.definition import FUNCTIONS
from rushlight.ops.core.guard import of_space
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
from rushlight.ops.special.bessel import (
    airy_ai,
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    modified_bessel_i0,
    modified_bessel_i1,
    modified_bessel_k0,
    modified_bessel_k1,
    scaled_modified_bessel_k0,
    scaled_modified_bessel_k1,
    spherical_bessel_j0,
)
from rushlight.ops.special.polynomials import (
    chebyshev_polynomial_t,
    chebyshev_polynomial_u,
    chebyshev_polynomial_v,
    chebyshev_polynomial_w,
    hermite_polynomial_h,
    hermite_polynomial_he,
    laguerre_polynomial_l,
    legendre_polynomial_p,
    shifted_chebyshev_polynomial_t,
    shifted_chebyshev_polynomial_u,
    shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w,
)

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "chebyshev_polynomial_t",
    "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w", "digamma", "entr",
    "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln",
    "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e", "i1", "i1e",
    "laguerre_polynomial_l", "legendre_polynomial_p", "log1p", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0",
    "modified_bessel_k1", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w", "sinc", "softmax", "spherical_bessel_j0", "xlog1py", "xlogy",
    "zeta",
]  # fmt: skip

for _name in __all__:
    _call: Any = globals()[_name]
    _of_torch = FUNCTIONS.get(_name)
    if getattr(_of_torch, "__wrapped__", None) is _call:
        _call = _of_torch  # the function of ``torch``, which checks its arguments
    if _call.__name__ != f"special_{_name}":
        _call = of_space(_call, "special", _name)
    else:  # where pickle finds it
        _call.__module__, _call.__qualname__ = __name__, _name
    globals()[_name] = _call
