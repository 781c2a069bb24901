"""Samples of special functions, and of samplers with parameters in tensors."""

# A table: one sample a line.
# fmt: off

from tests.samples.sample import floats, ints, sample

HALF = ("float64", "float16", "bfloat16")

# name → the domain its inputs are drawn from
UNARY = {
    "lgamma": (0.2, 5), "digamma": (0.4, 5), "erfc": (-2, 2), "erfinv": (-0.9, 0.9), "i0": (-3, 3),
    "special.i0e": (-3, 3), "special.i1": (-3, 3), "special.i1e": (-3, 3), "special.ndtr": (-3, 3),
    "special.ndtri": (0.1, 0.9), "special.log_ndtr": (-4, 2), "special.erfcx": (-1, 3),
    "special.entr": (0.1, 3),
}
NO_HALF = ("special.i1", "special.i1e", "special.ndtr", "special.ndtri", "special.log_ndtr", "special.erfcx")


def called(name):
    """``torch.name`` or ``torch.special.name``."""
    *spaces, last = name.split(".")

    def call(t, *given):
        for space in spaces:
            t = getattr(t, space)
        return getattr(t, last)(*given)

    return call


for _name, (_low, _high) in UNARY.items():
    sample(_name, called(_name), floats(3, 4, low=_low, high=_high), dtypes=("float64",) if _name in NO_HALF else HALF)
    sample(_name, called(_name), floats(0, 3, low=_low, high=_high), second=False)
    sample(_name, called(_name), ints(4, low=0, high=2), grad=False)
for _name in ("i0", "special.i0e", "special.i1e"):
    sample(_name, called(_name), floats(3, low=-30, high=30))
for _name in ("special.i1", "special.i1e", "i0", "special.i0e"):
    sample(_name, called(_name), ints(2, low=0, high=1).astype("f4"), second=False, numeric=_name != "special.i0e")
for _n in (0, 1, 2, 5):
    sample("polygamma", lambda t, x, n=_n: t.polygamma(n, x), floats(3, 4, low=0.6, high=4), tolerance=1e-4)
sample("polygamma", lambda t, x: x.polygamma(1), floats(3, low=0.5, high=4))
for _p in (1, 2, 4):
    sample("mvlgamma", lambda t, x, p=_p: t.mvlgamma(x, p), floats(3, 4, low=2, high=5))
for _name in ("igamma", "igammac"):
    sample(_name, lambda t, x, n=_name: getattr(t, n)(t.tensor([[0.5], [2.0], [30.0]], dtype=x.dtype), x),
           floats(3, 4, low=0.2, high=4))
sample("zeta", lambda t, x: t.special.zeta(2.5, x), floats(3, 4, low=0.5, high=4))
sample("xlog1py", lambda t, x, y: t.special.xlog1py(x, y), floats(3, 4), floats(4, low=-0.5, high=2, seed=1))

for _low, _high in ((0.05, 0.9), (1.0, 9.0)):
    sample("_standard_gamma", lambda t, x: t._standard_gamma(x), floats(3, 4, low=_low, high=_high),
           draws=True, second=False, tolerance=2e-4, dtypes=())
sample("_sample_dirichlet", lambda t, x: t._sample_dirichlet(x), floats(3, 4, low=0.3, high=4),
       grad=False, draws=True)
sample("_standard_gamma_grad", lambda t, x: t._standard_gamma_grad(x, x * 0.7), floats(3, 4, low=0.3, high=9),
       grad=False, tolerance=5e-4, dtypes=())
sample("_dirichlet_grad", lambda t, x: t._dirichlet_grad(x, x * 3, x * 0 + 5), floats(3, 4, low=0.1, high=0.9),
       grad=False, tolerance=2e-3, dtypes=())
sample("von_mises", lambda t, x: t.distributions.VonMises(x, x + 3).sample((3,)), floats(5), grad=False, draws=True)
sample("binomial", lambda t, x: t.binomial(t.full((3, 4), 20.0, dtype=x.dtype), x), floats(3, 4, low=-0.1, high=1.1),
       grad=False, draws=True)
