"""Airy and Bessel functions without gradients, as PyTorch has them in ``torch.special``.

SciPy computes them, and on devices ``bessel_formulas.py``. ``i0`` and ``i1``, which have gradients,
are in ``ops/elementwise/special.py``.
"""

from rushlight.dtype import float32, float64
from rushlight.ops.elementwise.exponential import full_precision
from rushlight.ops.elementwise.special_formulas import narrow
from rushlight.ops.elementwise.unary import tabled
from rushlight.ops.special import bessel_formulas as formulas
from rushlight.ops.special.airy import airy_lowering, far

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1",
    "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0",
]  # fmt: skip


_ONLY_SPECIAL = {"public": False, "method": False, "inplace": False}


def _bessel(title, forward, what, example, **options):
    """The operation ``torch.special.title``, which has no gradient."""
    return tabled(
        forward, title, f"{what}.\n\n    There is no gradient, as in PyTorch", example,
        space="torch.special", name=f"special_{title}", dtype=full_precision, **_ONLY_SPECIAL,
        **options,
    )  # fmt: skip


def _finite(name):
    """A forward for SciPy's function ``name``; at ±inf it gives nan, as PyTorch does."""
    return lambda xp, x: xp.where(xp.isinf(x), xp.nan, getattr(xp, name)(x)).astype(x.dtype)


def _decaying(name):
    """A forward for SciPy's function ``name``, which is 0 at inf and nan below 0."""
    return lambda xp, x: getattr(xp, name)(x)


def _airy(xp, x):
    found = xp.airy(x)[0]
    distant = xp.abs(x) > 1e5
    if distant.any():
        found = xp.where(distant, far(xp, x.astype(xp.float64)), found)
    return found.astype(x.dtype)


def _sine_quotient(xp, x):
    # sin(x) / x is exact to rounding for every x but 0 and ±inf.
    quotient = xp.sin(x) / x
    undefined = quotient != quotient
    if xp.any(undefined):
        limit = xp.where(x == 0, 1, xp.where(abs(x) == xp.inf, 0, x))
        quotient = xp.where(undefined, limit, quotient)
    return quotient


airy_ai = _bessel("airy_ai", _airy, "The Airy function Ai",
                  ("[0.0, 1.0]", "[0.3550, 0.1353]"), least=1 << 12)  # fmt: skip
airy_ai.lower(airy_lowering)


@airy_ai.lower_on_devices
def _airy_on_devices(x):
    # The phase grows fast, so float32 is computed in float64.
    if x.dtype is float64:
        return narrow(formulas.airy)(x)
    return airy_lowering(x if x.is_floating_point() else x.to(float32))


bessel_j0 = _bessel("bessel_j0", _finite("j0"),
                    "The Bessel function of the first kind and order 0",
                    ("[0.0, 1.0]", "[1.0000, 0.7652]"))  # fmt: skip
bessel_j1 = _bessel("bessel_j1", _finite("j1"),
                    "The Bessel function of the first kind and order 1",
                    ("[0.0, 1.0]", "[0.0000, 0.4401]"))  # fmt: skip
bessel_y0 = _bessel("bessel_y0", _finite("y0"),
                    "The Bessel function of the second kind and order 0",
                    ("[0.0, 1.0]", "[  -inf, 0.0883]"))  # fmt: skip
bessel_y1 = _bessel("bessel_y1", _finite("y1"),
                    "The Bessel function of the second kind and order 1",
                    ("[0.0, 1.0]", "[   -inf, -0.7812]"))  # fmt: skip
modified_bessel_i0 = _bessel("modified_bessel_i0", _finite("i0"),
                             "The modified Bessel function of the first kind and order 0",
                             ("[0.0, 1.0]", "[1.0000, 1.2661]"))  # fmt: skip
modified_bessel_i1 = _bessel("modified_bessel_i1", _finite("i1"),
                             "The modified Bessel function of the first kind and order 1",
                             ("[0.0, 1.0]", "[0.0000, 0.5652]"))  # fmt: skip
modified_bessel_k0 = _bessel("modified_bessel_k0", _decaying("k0"),
                             "The modified Bessel function of the second kind and order 0",
                             ("[0.0, 1.0]", "[   inf, 0.4210]"))  # fmt: skip
modified_bessel_k1 = _bessel("modified_bessel_k1", _decaying("k1"),
                             "The modified Bessel function of the second kind and order 1",
                             ("[0.0, 1.0]", "[   inf, 0.6019]"))  # fmt: skip
scaled_modified_bessel_k0 = _bessel("scaled_modified_bessel_k0", _decaying("k0e"),
                                    "``modified_bessel_k0`` times e to the ``input``",
                                    ("[0.0, 100.0]", "[   inf, 0.1252]"))  # fmt: skip
scaled_modified_bessel_k1 = _bessel("scaled_modified_bessel_k1", _decaying("k1e"),
                                    "``modified_bessel_k1`` times e to the ``input``",
                                    ("[0.0, 100.0]", "[   inf, 0.1258]"))  # fmt: skip
for _op, _formula in (
    (bessel_j0, formulas.j0), (bessel_j1, formulas.j1), (bessel_y0, formulas.y0),
    (bessel_y1, formulas.y1), (modified_bessel_i0, formulas.i0), (modified_bessel_i1, formulas.i1),
    (modified_bessel_k0, formulas.k0), (modified_bessel_k1, formulas.k1),
    (scaled_modified_bessel_k0, formulas.k0e), (scaled_modified_bessel_k1, formulas.k1e),
):  # fmt: skip
    _op.lower_on_devices(narrow(_formula))
spherical_bessel_j0 = _bessel("spherical_bessel_j0", _sine_quotient,
                              "The spherical Bessel function of the first kind and order 0",
                              ("[0.0, 1.0]", "[1.0000, 0.8415]"))  # fmt: skip
