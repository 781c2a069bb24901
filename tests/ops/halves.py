"""Functions whose kernels in PyTorch keep float32 inside where the tensors have half precision.

``error`` measures results and gradients against float64, in halves of an ulp: the rounding of the
result itself is 1.
"""

# A table: one case a line.
# fmt: off

import numpy as np

__all__ = ["CASES", "DTYPES", "UNTRACED", "allowed", "errors"]

_rng = np.random.default_rng(0)


def A(*shape, scale=1.0):
    """Normal numbers."""
    return (_rng.standard_normal(shape) * scale).astype("f4")


def F(t):
    """``nn.functional`` of the framework."""
    return t.nn.functional


cls = _rng.integers(0, 50, (64,))
CASES = {
    "sdpa": (lambda t, q, k, v: F(t).scaled_dot_product_attention(q, k, v), [A(2, 4, 33, 32), A(2, 4, 40, 32), A(2, 4, 40, 32)]),
    "sdpa_causal": (lambda t, q, k, v: F(t).scaled_dot_product_attention(q, k, v, is_causal=True), [A(2, 4, 33, 32), A(2, 4, 33, 32), A(2, 4, 33, 32)]),
    "sdpa_mask": (lambda t, q, k, v, m: F(t).scaled_dot_product_attention(q, k, v, attn_mask=m), [A(2, 4, 33, 32), A(2, 4, 33, 32), A(2, 4, 33, 32), A(33, 33)]),
    "sdpa_big": (lambda t, q, k, v: F(t).scaled_dot_product_attention(q, k, v), [A(2, 4, 33, 32, scale=3), A(2, 4, 40, 32, scale=3), A(2, 4, 40, 32)]),
    "softmax": (lambda t, x: F(t).softmax(x, -1), [A(64, 50)]),
    "softmax0": (lambda t, x: F(t).softmax(x, 0), [A(64, 50)]),
    "log_softmax": (lambda t, x: F(t).log_softmax(x, -1), [A(64, 50)]),
    "softmin": (lambda t, x: F(t).softmin(x, -1), [A(64, 50)]),
    "layer_norm": (lambda t, x, w, b: F(t).layer_norm(x, (50,), w, b), [A(64, 50), A(50), A(50)]),
    "rms_norm_eps": (lambda t, x, w: F(t).rms_norm(x, (50,), w, 1e-05), [A(64, 50), A(50)]),
    "group_norm": (lambda t, x, w, b: F(t).group_norm(x, 5, w, b), [A(6, 50, 7), A(50), A(50)]),
    "batch_norm": (lambda t, x, w, b: F(t).batch_norm(x, None, None, w, b, True), [A(64, 50), A(50), A(50)]),
    "batch_norm4": (lambda t, x, w, b: F(t).batch_norm(x, None, None, w, b, True), [A(6, 50, 5, 5), A(50), A(50)]),
    "batch_norm_eval": (lambda t, x, w, b, m, v: F(t).batch_norm(x, m.detach(), v.detach().abs() + 0.5, w, b, False), [A(64, 50), A(50), A(50), A(50), A(50)]),
    "instance_norm": (lambda t, x, w, b: F(t).instance_norm(x, None, None, w, b), [A(6, 50, 9), A(50), A(50)]),
    "local_response_norm": (lambda t, x: F(t).local_response_norm(x, 3), [A(6, 10, 9)]),
    "normalize": (lambda t, x: F(t).normalize(x), [A(64, 50)]),
    "cosine_similarity": (lambda t, x, y: F(t).cosine_similarity(x, y), [A(64, 50), A(64, 50)]),
    "pairwise_distance": (lambda t, x, y: F(t).pairwise_distance(x, y), [A(64, 50), A(64, 50)]),
    "cross_entropy": (lambda t, x: F(t).cross_entropy(x, t.tensor(cls), reduction="none"), [A(64, 50)]),
    "cross_entropy_mean": (lambda t, x: F(t).cross_entropy(x, t.tensor(cls)), [A(64, 50)]),
    "cross_entropy_ls": (lambda t, x: F(t).cross_entropy(x, t.tensor(cls), label_smoothing=0.1, reduction="none"), [A(64, 50)]),
    "cross_entropy_ls_mean": (lambda t, x: F(t).cross_entropy(x, t.tensor(cls), label_smoothing=0.1), [A(64, 50)]),
    "cross_entropy_p": (lambda t, x, y: F(t).cross_entropy(x, F(t).softmax(y, -1), reduction="none"), [A(64, 50), A(64, 50)]),
    "nll": (lambda t, x: F(t).nll_loss(x, t.tensor(cls)), [A(64, 50)]),
    "mse": (lambda t, x, y: F(t).mse_loss(x, y), [A(64, 50), A(64, 50)]),
    "mse_n": (lambda t, x, y: F(t).mse_loss(x, y, reduction="none"), [A(64, 50), A(64, 50)]),
    "l1": (lambda t, x, y: F(t).l1_loss(x, y), [A(64, 50), A(64, 50)]),
    "smooth_l1": (lambda t, x, y: F(t).smooth_l1_loss(x, y), [A(64, 50), A(64, 50)]),
    "huber": (lambda t, x, y: F(t).huber_loss(x, y, delta=0.5), [A(64, 50), A(64, 50)]),
    "bce": (lambda t, x, y: F(t).binary_cross_entropy(t.sigmoid(x), t.sigmoid(y)), [A(64, 50), A(64, 50)]),
    "bcel": (lambda t, x, y: F(t).binary_cross_entropy_with_logits(x, t.sigmoid(y)), [A(64, 50), A(64, 50)]),
    "bcel_n": (lambda t, x, y: F(t).binary_cross_entropy_with_logits(x, t.sigmoid(y), reduction="none"), [A(64, 50), A(64, 50)]),
    "kl": (lambda t, x, y: F(t).kl_div(x, t.sigmoid(y), reduction="batchmean"), [A(64, 50), A(64, 50)]),
    "kl_n": (lambda t, x, y: F(t).kl_div(x, t.sigmoid(y), reduction="none"), [A(64, 50), A(64, 50)]),
    "poisson": (lambda t, x, y: F(t).poisson_nll_loss(x, t.sigmoid(y)), [A(64, 50), A(64, 50)]),
    "gnll": (lambda t, x, y, v: F(t).gaussian_nll_loss(x, y, v.abs() + 1), [A(64, 50), A(64, 50), A(64, 50)]),
    "triplet": (lambda t, x, y, z: F(t).triplet_margin_loss(x, y, z, reduction="none"), [A(64, 50), A(64, 50), A(64, 50)]),
    "cosine_embedding": (lambda t, x, y: F(t).cosine_embedding_loss(x, y, t.tensor(cls % 2 * 2 - 1), reduction="none"), [A(64, 50), A(64, 50)]),
    "glu": (lambda t, x: F(t).glu(x), [A(64, 50)]),
    "linear": (lambda t, x, w, b: F(t).linear(x, w, b), [A(64, 50), A(30, 50), A(30)]),
    "bilinear": (lambda t, x, y, w, b: F(t).bilinear(x, y, w, b), [A(8, 10), A(8, 12), A(6, 10, 12), A(6)]),
    "conv1": (lambda t, x, w, b: F(t).conv1d(x, w, b), [A(3, 8, 20), A(6, 8, 3), A(6)]),
    "conv2": (lambda t, x, w, b: F(t).conv2d(x, w, b, padding=1), [A(3, 8, 10, 10), A(6, 8, 3, 3), A(6)]),
    "convt2": (lambda t, x, w, b: F(t).conv_transpose2d(x, w, b), [A(3, 8, 10, 10), A(8, 6, 3, 3), A(6)]),
    "avg_pool2": (lambda t, x: F(t).avg_pool2d(x, 3), [A(3, 8, 12, 12)]),
    "adaptive": (lambda t, x: F(t).adaptive_avg_pool2d(x, 3), [A(3, 8, 12, 12)]),
    "lp_pool": (lambda t, x: F(t).lp_pool2d(x.abs(), 2, 3), [A(3, 8, 12, 12)]),
    "interp": (lambda t, x: F(t).interpolate(x, scale_factor=2, mode="bilinear"), [A(3, 8, 6, 6)]),
    "bicubic": (lambda t, x: F(t).interpolate(x, scale_factor=2, mode="bicubic"), [A(3, 8, 6, 6)]),
    "grid_sample": (lambda t, x, g: F(t).grid_sample(x, t.tanh(g), align_corners=False), [A(3, 8, 6, 6), A(3, 5, 5, 2)]),
    "embedding_bag": (lambda t, w: F(t).embedding_bag(t.tensor(cls.reshape(8, 8)), w, mode="mean"), [A(50, 16)]),
    "embedding_bag_sum": (lambda t, w: F(t).embedding_bag(t.tensor(cls.reshape(8, 8)), w, mode="sum"), [A(50, 16)]),
    "prelu": (lambda t, x, w: F(t).prelu(x, w), [A(64, 50), A(50)]),
    "logsumexp": (lambda t, x: t.logsumexp(x, 1), [A(64, 50)]),
    "mean": (lambda t, x: x.mean(1), [A(64, 500)]),
    "sum": (lambda t, x: x.sum(1), [A(64, 500)]),
    "prod": (lambda t, x: x.prod(1), [A(64, 20)]),
    "std": (lambda t, x: x.std(1), [A(64, 500)]),
    "var": (lambda t, x: x.var(1), [A(64, 500)]),
    "norm": (lambda t, x: x.norm(dim=1), [A(64, 500)]),
    "norm3": (lambda t, x: t.linalg.vector_norm(x, 3, dim=1), [A(64, 500)]),
    "cumsum": (lambda t, x: x.cumsum(1), [A(64, 100)]),
    "cumprod": (lambda t, x: x.cumprod(1), [A(64, 10)]),
    "logcumsumexp": (lambda t, x: x.logcumsumexp(1), [A(64, 100)]),
    "matmul": (lambda t, x, y: x @ y, [A(64, 50), A(50, 30)]),
    "bmm": (lambda t, x, y: x @ y, [A(4, 64, 50), A(4, 50, 30)]),
    "addmm": (lambda t, b, x, y: t.addmm(b, x, y), [A(30), A(64, 50), A(50, 30)]),
    "addmm2": (lambda t, b, x, y: t.addmm(b, x, y, beta=0.5, alpha=2), [A(64, 30), A(64, 50), A(50, 30)]),
    "baddbmm": (lambda t, b, x, y: t.baddbmm(b, x, y, beta=0.5, alpha=0.3), [A(4, 64, 30), A(4, 64, 50), A(4, 50, 30)]),
    "einsum": (lambda t, x, y: t.einsum("bij,bjk->ik", x, y), [A(4, 64, 50), A(4, 50, 30)]),
    "mv": (lambda t, x, y: x @ y, [A(64, 50), A(50)]),
    "dot": (lambda t, x, y: x @ y, [A(500), A(500)]),
    "addcmul": (lambda t, x, y, z: t.addcmul(x, y, z, value=0.3), [A(64, 50)] * 3),
    "addcdiv": (lambda t, x, y, z: t.addcdiv(x, y, z.abs() + 1, value=0.3), [A(64, 50)] * 3),
    "lerp": (lambda t, x, y: t.lerp(x, y, 0.3), [A(64, 50), A(64, 50)]),
    "softplus": (lambda t, x: F(t).softplus(x), [A(64, 50)]),
    "softsign": (lambda t, x: F(t).softsign(x), [A(64, 50)]),
    "tanhshrink": (lambda t, x: F(t).tanhshrink(x), [A(64, 50)]),
    "celu": (lambda t, x: F(t).celu(x), [A(64, 50)]),
    "mish": (lambda t, x: F(t).mish(x), [A(64, 50)]),
    "gelu": (lambda t, x: F(t).gelu(x), [A(64, 50)]),
    "gelut": (lambda t, x: F(t).gelu(x, approximate="tanh"), [A(64, 50)]),
    "hardswish": (lambda t, x: F(t).hardswish(x), [A(64, 50)]),
    "selu": (lambda t, x: F(t).selu(x), [A(64, 50)]),
    "silu": (lambda t, x: F(t).silu(x), [A(64, 50)]),
    "logsigmoid": (lambda t, x: F(t).logsigmoid(x), [A(64, 50)]),
    "relu6": (lambda t, x: F(t).relu6(x), [A(64, 50)]),
    "hardsigmoid": (lambda t, x: F(t).hardsigmoid(x), [A(64, 50)]),
    "logit": (lambda t, x: t.logit(t.sigmoid(x)), [A(64, 50)]),
    "sinc": (lambda t, x: t.sinc(x), [A(64, 50)]),
    "polygamma": (lambda t, x: t.polygamma(1, x.abs() + 1), [A(64, 50)]),
    "mvlgamma": (lambda t, x: t.mvlgamma(x.abs() + 3, 2), [A(64, 50)]),
    "xlogy": (lambda t, x, y: t.xlogy(x, y.abs()), [A(64, 50), A(64, 50)]),
    "logaddexp": (lambda t, x, y: t.logaddexp(x, y), [A(64, 50), A(64, 50)]),
    "hypot": (lambda t, x, y: t.hypot(x, y), [A(64, 50), A(64, 50)]),
    "atan2": (lambda t, x, y: t.atan2(x, y), [A(64, 50), A(64, 50)]),
    "deg2rad": (lambda t, x: t.deg2rad(x), [A(64, 50)]),
}


def _cell(kind, size):
    """A recurrent layer or cell, its weights copied from the inputs after the state."""

    def call(t, x, h, *weights):
        layer = getattr(t.nn, kind)(10, size).to(x.dtype)
        with t.no_grad():
            for p, w in zip(layer.parameters(), weights, strict=True):
                p.copy_(w.detach())
        out = layer(x, (h, h) if "LSTM" in kind else h)
        return out[0] if isinstance(out, tuple) else out

    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind.replace("Cell", "")] * size
    x, h = (A(4, 10), A(4, size)) if "Cell" in kind else (A(7, 4, 10), A(1, 4, size))
    weights = [A(gates, 10, scale=0.3), A(gates, size, scale=0.3), A(gates, scale=0.3)]
    return call, [x, h, *weights, A(gates, scale=0.3)]


for _kind in ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"):
    CASES[_kind] = _cell(_kind, 8)


def _heads(result, **options):
    """Multi-head attention: its output (0) or its weights (1)."""
    return lambda t, x, w, b, out, bias: F(t).multi_head_attention_forward(
        x, x, x, 32, 4, w, b, None, None, False, 0.0, out, bias, **options
    )[result]


_matrices = [A(20, 3, 32), A(96, 32, scale=0.2), A(96, scale=0.2), A(32, 32, scale=0.2), A(32, scale=0.2)]
CASES["mha"] = (_heads(0, need_weights=False), _matrices)
CASES["mha_w"] = (_heads(0), _matrices)
CASES["mha_weights"] = (_heads(1), _matrices)

#: The halves of an ulp of each dtype, relative to the number.
DTYPES = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
#: Cases that make a module, which a compiled function cannot keep.
UNTRACED = {"LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"}


def _double(t):
    return t.detach().double().numpy()


def _answers(framework, call, inputs, half, dtype):
    """The result and the gradients as float64, computed in ``dtype`` on inputs rounded to ``half``."""
    xs = [framework.from_numpy(a.copy()).to(getattr(framework, half)) for a in inputs]
    xs = [x.to(getattr(framework, dtype)).requires_grad_() for x in xs]
    framework.manual_seed(0)
    out = call(*xs)
    seed = np.random.default_rng(3).uniform(0.5, 1.5, tuple(out.shape))
    seed = framework.from_numpy(np.asarray(seed)).to(getattr(framework, half)).to(out.dtype)
    gradients = framework.autograd.grad(out, xs, seed, allow_unused=True)
    return [_double(t) for t in (out, *gradients) if t is not None]


def _error(got, want, half):
    """The largest error, in halves of an ulp; of numbers near 0 relative to the typical one."""
    size = np.maximum(np.abs(want), np.sqrt((want**2).mean()) / 4 + 1e-30)
    return float(np.max(np.abs(got - want) / (size * DTYPES[half])))


def errors(framework, name, half, wrap=lambda call: call):
    """The errors of the result and of each gradient of a case in the dtype ``half``."""
    function, inputs = CASES[name]
    call = lambda *xs: function(framework, *xs)
    want = _answers(framework, call, inputs, half, "float64")
    got = _answers(framework, wrap(call), inputs, half, half)
    return [round(_error(g, w, half), 2) for g, w in zip(got, want, strict=True)]


def allowed(error):
    """The error that is allowed where PyTorch has ``error``: rounding once, or about as much."""
    return max(1.9, 2.0 * error)
