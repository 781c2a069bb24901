"""Samples of rectifiers with slopes, margins, likelihoods and alignments."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.networks import f
from tests.samples.sample import floats, ints, sample

HALF = ("float64", "bfloat16")
_x, _y = floats(3, 4), floats(3, 4, seed=1)

for _shape in ((3, 2), (3, 2, 4), (2,)):
    sample("prelu", f("prelu"), floats(*_shape), floats(1 if len(_shape) == 1 else 2, seed=1), dtypes=HALF)
sample("prelu", lambda t, x, w: t.prelu(x, w), floats(2, 3, 2, t=True), floats(seed=1))
sample("rrelu", f("rrelu", training=True), _x, draws=True)
sample("rrelu", f("rrelu"), _x)
sample("gumbel_softmax", f("gumbel_softmax", tau=0.5, dim=0), _x, draws=True)
sample("gumbel_softmax", f("gumbel_softmax", hard=True), _x, draws=True)
sample("glu", f("glu", dim=0), floats(4, 3), dtypes=HALF)
sample("hardshrink", lambda t, x: x.hardshrink(0.3), _x)
for _name in ("softsign", "tanhshrink", "celu", "softmin"):
    sample(_name, f(_name, **({"dim": 1} if _name == "softmin" else {})), _x, dtypes=HALF)

_signs = np.array([1, -1, 1])
sample("cosine_embedding_loss", f("cosine_embedding_loss", margin=-0.5), _x, _y, _signs, second=False)
sample("hinge_embedding_loss", f("hinge_embedding_loss"), _x, np.sign(_y).astype("i8"))
sample("margin_ranking_loss", f("margin_ranking_loss", margin=0.3), _x[:, 0], _y[:, 0], _signs)
sample("soft_margin_loss", f("soft_margin_loss"), _x, np.sign(_y).astype("i8"))
sample("multi_margin_loss", f("multi_margin_loss"), _x, np.array([1, 0, 3]))
sample("multi_margin_loss", f("multi_margin_loss", p=2, reduction="none"), _x, np.array([1, 0, 3]))
sample("multilabel_margin_loss", f("multilabel_margin_loss"), _x, np.array([[1, 3, -1, 0], [2, 2, 1, -1], [-1, 0, 0, 0]]))
sample("multilabel_soft_margin_loss", f("multilabel_soft_margin_loss"), _x, np.sign(_y).clip(0))
sample("triplet_margin_loss", f("triplet_margin_loss", swap=True), _x, _y, floats(3, 4, seed=2))
sample("triplet_margin_with_distance_loss", f("triplet_margin_with_distance_loss"), _x, _y, floats(3, 4, seed=2))
for _p in (1, 2, 3.5):
    sample("pairwise_distance", f("pairwise_distance", p=_p), _x, _y)
    sample("pdist", f("pdist", p=_p), _x)
sample("poisson_nll_loss", f("poisson_nll_loss", full=True), _x, ints(3, 4, low=0, high=5))
sample("poisson_nll_loss", f("poisson_nll_loss", log_input=False), floats(3, 4, low=0.2), ints(3, 4, low=0, high=5))
sample("gaussian_nll_loss", f("gaussian_nll_loss", full=True), _x, _y, floats(3, 4, low=0.2, seed=2))
sample("linear_cross_entropy", f("linear_cross_entropy"), _x, floats(5, 2, 4, seed=1), ints(3, 2, low=0, high=5))

_labels = np.array([[1, 1, 2], [3, 1, 3]])


def _aligned(t, x, y, **kw):
    return t.nn.functional.ctc_loss(x.log_softmax(2), y, t.tensor([5, 4]), t.tensor([3, 2]), **kw)


def _aligned_gradient(t, x, y):
    """By hand: it has no derivative of its own."""
    x = x.detach().requires_grad_()
    return t.autograd.grad(_aligned(t, x, y), x, create_graph=True)


sample("ctc_loss", _aligned_gradient, floats(5, 2, 4), _labels, grad=False, trace=False, tolerance=1e-4)
sample("ctc_loss", lambda t, x, y: _aligned(t, x, y, blank=1, reduction="none"), floats(5, 2, 4), _labels + (_labels == 1), grad=False, tolerance=1e-4)
