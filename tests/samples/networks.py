"""Samples of nn.functional."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.sample import bools, floats, ints, sample

HALF = ("float64", "bfloat16")


def f(name, **kw):
    """A call of ``torch.nn.functional.name``."""
    return lambda t, *xs: getattr(t.nn.functional, name)(*xs, **kw)


for _name in ("relu", "relu6", "elu", "selu", "gelu", "silu", "mish", "softplus", "logsigmoid", "hardtanh", "hardswish", "leaky_relu", "sigmoid", "tanh"):
    sample(_name, f(_name), floats(3, 4, low=-2.5, high=2.5), dtypes=("float64", "float16", "bfloat16"), second=_name != "hardswish")
sample("gelu", f("gelu", approximate="tanh"), floats(3, 4))
sample("leaky_relu", f("leaky_relu", negative_slope=0.2), floats(3, 4))
for _shape in ((4,), (3, 4), (2, 3, 4)):
    sample("linear", f("linear"), floats(*_shape), floats(5, 4, seed=1), floats(5, seed=2), dtypes=HALF)
sample("linear", f("linear"), floats(3, 4), floats(5, 4, seed=1))

for _kw in ({}, {"stride": 2}, {"padding": 1}, {"dilation": 2, "padding": 2}, {"padding": "same"}):
    sample("conv2d", f("conv2d", **_kw), floats(2, 2, 5, 6), floats(3, 2, 3, 3, seed=1), floats(3, seed=2), tolerance=1e-4)
sample("conv2d", f("conv2d", groups=2, stride=(2, 1), padding=(1, 0)), floats(2, 4, 5, 5), floats(4, 2, 3, 2, seed=1), tolerance=1e-4)
sample("conv2d", f("conv2d"), floats(2, 5, 5), floats(3, 2, 1, 1, seed=1), tolerance=1e-4)
sample("conv2d", f("conv2d", groups=4), floats(1, 4, 4, 4), floats(4, 1, 3, 3, seed=1), tolerance=1e-4)
sample("conv1d", f("conv1d", padding=1, stride=2), floats(2, 3, 7), floats(4, 3, 3, seed=1), floats(4, seed=2), tolerance=1e-4)

sample("max_pool2d", f("max_pool2d", kernel_size=2), floats(2, 2, 4, 6))
sample("max_pool2d", f("max_pool2d", kernel_size=3, stride=2, padding=1), floats(2, 2, 5, 5))
sample("max_pool2d", f("max_pool2d", kernel_size=2, ceil_mode=True, return_indices=True), floats(1, 2, 5, 5))
sample("max_pool1d", f("max_pool1d", kernel_size=2), floats(2, 2, 6))
sample("avg_pool2d", f("avg_pool2d", kernel_size=2), floats(2, 2, 4, 6))
sample("avg_pool2d", f("avg_pool2d", kernel_size=3, stride=2, padding=1, count_include_pad=False), floats(2, 2, 5, 5))
sample("avg_pool1d", f("avg_pool1d", kernel_size=2), floats(2, 2, 6))
sample("adaptive_avg_pool2d", f("adaptive_avg_pool2d", output_size=(2, 3)), floats(2, 2, 5, 7))

sample("layer_norm", f("layer_norm", normalized_shape=(4,)), floats(2, 3, 4), tolerance=1e-4)
sample("layer_norm", lambda t, x, w, b: t.nn.functional.layer_norm(x, (3, 4), w, b), floats(2, 3, 4), floats(3, 4, seed=1), floats(3, 4, seed=2), tolerance=1e-4, dtypes=HALF)
sample("rms_norm", lambda t, x, w: t.nn.functional.rms_norm(x, (4,), w), floats(2, 3, 4), floats(4, seed=1), tolerance=1e-4)
sample("group_norm", lambda t, x, w, b: t.nn.functional.group_norm(x, 2, w, b), floats(2, 4, 3), floats(4, seed=1), floats(4, seed=2), tolerance=1e-4)
sample("batch_norm", lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, True), floats(4, 3), floats(3, seed=1), floats(3, seed=2), tolerance=1e-4)
sample("batch_norm", lambda t, x, w, b: t.nn.functional.batch_norm(x, x.new_zeros(3), x.new_ones(3), w, b, True), floats(2, 3, 2, 2), floats(3, seed=1), floats(3, seed=2), tolerance=1e-4)
sample("batch_norm", lambda t, x, w, b: t.nn.functional.batch_norm(x, x.new_zeros(3), x.new_ones(3) * 2, w, b), floats(2, 3, 4), floats(3, seed=1), floats(3, seed=2), tolerance=1e-4)

for _name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
    for _reduction in ("mean", "sum", "none"):
        sample(_name, f(_name, reduction=_reduction), floats(3, 4), floats(3, 4, seed=1), second=_name != "huber_loss")
_classes = np.array([1, 0, 3])
for _kw in ({}, {"reduction": "none"}, {"reduction": "sum"}, {"label_smoothing": 0.1}, {"ignore_index": 0}):
    sample("cross_entropy", f("cross_entropy", **_kw), floats(3, 4), _classes, dtypes=HALF)
sample("cross_entropy", lambda t, x, y: t.nn.functional.cross_entropy(x, y, weight=t.tensor([0.5, 1.5, 1.2, 0.8], dtype=x.dtype)), floats(3, 4), _classes)
sample("cross_entropy", f("cross_entropy"), floats(2, 4, 3), ints(2, 3, low=0, high=4))
sample("cross_entropy", lambda t, x, y: t.nn.functional.cross_entropy(x, t.softmax(y, 1)), floats(3, 4), floats(3, 4, seed=1))
sample("nll_loss", lambda t, x, y: t.nn.functional.nll_loss(t.log_softmax(x, 1), y), floats(3, 4), _classes)
sample("binary_cross_entropy", f("binary_cross_entropy"), floats(3, 4, low=0.1, high=0.9), floats(3, 4, low=0.1, high=0.9, seed=1))
sample("binary_cross_entropy_with_logits", f("binary_cross_entropy_with_logits"), floats(3, 4), floats(3, 4, low=0.1, high=0.9, seed=1))
sample("kl_div", f("kl_div", reduction="batchmean"), floats(3, 4), floats(3, 4, low=0.1, high=0.9))
sample("cosine_similarity", f("cosine_similarity"), floats(3, 4), floats(3, 4, seed=1))
sample("normalize", f("normalize"), floats(3, 4))
sample("one_hot", f("one_hot", num_classes=5), ints(3, low=0, high=5), grad=False)
for _kw in ({}, {"padding_idx": 2}):
    sample("embedding", lambda t, i, w, kw=_kw: t.nn.functional.embedding(i, w, **kw), ints(2, 3, low=0, high=5), floats(5, 4), numeric=not _kw)
for _mode in ("constant", "reflect", "replicate", "circular"):
    sample("pad", f("pad", pad=(1, 2), mode=_mode), floats(2, 3, 4))
sample("pad", f("pad", pad=(1, -1, 0, 2), value=1.5), floats(2, 3, 4))
_q, _k, _v = floats(2, 2, 3, 4), floats(2, 2, 5, 4, seed=1), floats(2, 2, 5, 4, seed=2)
sample("scaled_dot_product_attention", f("scaled_dot_product_attention"), _q, _k, _v)
sample("scaled_dot_product_attention", f("scaled_dot_product_attention", is_causal=True), _q, _q, _v[:, :, :3])
sample("scaled_dot_product_attention", lambda t, q, k, v, m: t.nn.functional.scaled_dot_product_attention(q, k, v, m), _q, _k, _v, bools(3, 5) | np.eye(3, 5, dtype=bool))
sample("dropout", f("dropout", p=0.4), floats(5, 6), draws=True)
sample("dropout", f("dropout", p=0.4, training=False), floats(5, 6))

for _call in (
    lambda t: t.rand(3, 4), lambda t: t.randn(3, 7), lambda t: t.randn(2, 3), lambda t: t.randint(0, 9, (4,)), lambda t: t.randperm(7),
    lambda t: t.bernoulli(t.full((5,), 0.4)), lambda t: t.multinomial(t.tensor([0.1, 0.6, 0.3]), 5, replacement=True),
    lambda t: t.empty(6).uniform_(-1, 1), lambda t: t.empty(6).normal_(1, 2), lambda t: t.empty(6).exponential_(),
    lambda t: t.empty(6, dtype=t.int64).random_(10), lambda t: t.empty(6).bernoulli_(0.3), lambda t: t.rand_like(t.ones(3)),
    lambda t: t.normal(t.zeros(3), t.ones(3)),
):
    sample("random", _call, grad=False, draws=True)
