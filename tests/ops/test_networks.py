"""Layers and losses against PyTorch: values, node names, gradients of first and second order, dtypes."""

import itertools
import warnings

import numpy as np
import pytest

import rushlight
from tests.ops.calls import same_gradients, same_values

pytestmark = pytest.mark.parity


def numbers(*shape, seed=0, low=-2.0, high=2.0):
    """Distinct numbers, in no order."""
    n = int(np.prod(shape))
    order = np.random.default_rng((seed, *shape)).permutation(n)
    return (low + (high - low) * (order + 0.5) / max(n, 1)).reshape(shape)


# Convolution ----------------------------------------------------------------------------------

CONVOLUTIONS = [
    (n, kw)
    for n, stride, padding, dilation, groups in itertools.product(
        (1, 2, 3), (1, 2), (0, 1, "'same'"), (1, 2), (1, 2, 4)
    )
    if not (padding == "'same'" and stride == 2)
    for kw in [f"stride={stride}, padding={padding}, dilation={dilation}, groups={groups}"]
]


@pytest.mark.parametrize(("n", "kw"), CONVOLUTIONS)
@pytest.mark.filterwarnings("ignore")
def test_convolution(n, kw):
    groups = int(kw[-1])
    same_gradients(
        f"F.conv{n}d(x, w, b, {kw})",
        x=numbers(2, 4, *(7, 6, 5)[:n]),
        w=numbers(4, 4 // groups, *(3, 2, 3)[:n], seed=1),
        b=numbers(4, seed=2),
    )


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float32", "complex64", "complex128", "int64"]
)
@pytest.mark.parametrize("kw", ["", ", stride=(2, 1), padding=(0, 1)", ", groups=2"])
def test_convolution_of_every_dtype(dtype, kw):
    scale = 4 if dtype == "int64" else 0.5
    x, w = scale * numbers(2, 4, 5, 6), scale * numbers(2, 2 if "groups" in kw else 4, 3, 2, seed=1)
    same_values(f"F.conv2d(x, w{kw})", dtype, x=x, w=w)


@pytest.mark.parametrize("shape", [(0, 3, 5, 5), (3, 5, 5), (1, 3, 3, 3)])
def test_convolution_of_few_images(shape):
    same_gradients("F.conv2d(x, w)", x=numbers(*shape), w=numbers(2, 3, 3, 3), second=False)


def test_complex_convolution_gradients():
    z = lambda *shape: numbers(*shape) + 1j * numbers(*shape, seed=7)
    same_gradients("F.conv2d(x, w, padding=1)", names=False, x=z(1, 2, 4, 4), w=z(2, 2, 3, 3))


def test_convolution_in_blocks():
    # Larger than one block of columns, so that blocks of several and of single images meet.
    x, w = numbers(9, 16, 20, 20).astype(np.float32), numbers(8, 16, 3, 3).astype(np.float32)
    same_gradients(
        "F.conv2d(x, w).double()", x=x.astype(np.float64), w=w.astype(np.float64), second=False
    )


# Pooling --------------------------------------------------------------------------------------

POOLS = [
    (k, s, p, d, ceil)
    for k, s, p, d, ceil in itertools.product(
        (1, 2, 3), (None, 1, 2, 3), (0, 1), (1, 2), (False, True)
    )
    if p <= k // 2
]


def _pixels(kind, n):
    x = numbers(2, 3, *(8, 7, 6)[:n])
    if kind == "ties":
        x = np.round(x)
    if kind == "nan":
        x[x > 1.6] = np.nan
        x[x < -1.6] = -np.inf
    return x


@pytest.mark.parametrize("kind", ["distinct", "ties", "nan"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_max_pool(n, kind):
    for k, s, p, d, ceil in POOLS:
        call = f"max_pool{n}d(x, {k}, {s}, {p}, {d}, {ceil}"
        same_values(f"F.{call}, return_indices=True)", x=_pixels(kind, n))
        try:
            getattr(rushlight.nn.functional, f"max_pool{n}d")(
                rushlight.tensor(_pixels(kind, n)), k, s, p, d, ceil
            )
        except RuntimeError:
            continue
        if n < 3:
            same_gradients(f"F.{call})", x=_pixels(kind, n), second=False)


@pytest.mark.parametrize(
    "kw", ["2", "3, 2, 1", "(2, 3)", "(3, 2)", "2, 2, 0, 1, True", "(1, 2)", "(2, 1)", "4"]
)
def test_max_pool_gradient(kw):
    for x in (numbers(2, 3, 8, 8), np.maximum(numbers(2, 3, 9, 7), 0)):
        same_gradients(f"F.max_pool2d(x * x, {kw})", x=x)


def test_max_pool_of_infinite_gradients_and_integers():
    same_gradients("F.max_pool2d(x, 2) * float('inf')", x=numbers(1, 1, 4, 4), second=False)
    same_values("F.max_pool2d(x, 2)", "float32", x=np.arange(16).reshape(1, 4, 4))
    for dtype in ("float16", "bfloat16"):
        same_values(
            "F.max_pool2d(x, 2), F.avg_pool2d(x, 2), F.max_pool1d(x[0], 2)",
            dtype,
            x=numbers(1, 2, 4, 4),
        )


@pytest.mark.parametrize("n", [1, 2, 3])
def test_avg_pool(n):
    for k, s, p, ceil, include in itertools.product(
        (1, 2, 3), (None, 1, 2), (0, 1), (False, True), (False, True)
    ):
        if p <= k // 2:
            call = f"F.avg_pool{n}d(x, {k}, {s}, {p}, {ceil}, {include})"
            same_gradients(call, x=numbers(2, 3, *(8, 7, 6)[:n]))


@pytest.mark.parametrize("call", [
    "avg_pool2d(x, 2, divisor_override=3)", "avg_pool2d(x, (2, 3), (1, 2), (1, 0))", "avg_pool2d(x[0], 3, ceil_mode=True)",
    "adaptive_avg_pool2d(x, 1)", "adaptive_avg_pool2d(x, (3, None))", "adaptive_avg_pool2d(x, (5, 9))",
    "adaptive_avg_pool2d(x[0], 4)", "adaptive_avg_pool1d(x[0], 3)", "adaptive_avg_pool3d(x, (2, 3, 1))",
])  # fmt: skip
def test_means_of_windows(call):
    same_gradients(f"F.{call}", x=numbers(2, 3, 8, 7))


def test_avg_pool_of_integers_and_infinities():
    same_values(
        "F.avg_pool2d(x, 2), F.avg_pool2d(-x, 2, padding=1)", x=np.arange(32).reshape(2, 4, 4)
    )
    x = numbers(1, 1, 6, 6)
    x[0, 0, 2, 2] = np.inf
    same_values("F.adaptive_avg_pool2d(x, (4, 5)), F.avg_pool2d(x, 2)", x=x)


# Normalisation --------------------------------------------------------------------------------

NORMS = [
    "batch_norm(x, None, None, w, b, True)", "batch_norm(x, None, None, None, None, True, 0.1, 1e-3)",
    "batch_norm(x, w.detach(), w.detach() ** 2, w, b)", "batch_norm(x, w.detach(), w.detach() ** 2, None, b)",
    "group_norm(x, 2, w, b)", "group_norm(x, 1, w)", "group_norm(x, 4)",
    "layer_norm(x, x.shape[1:])", "layer_norm(x, x.shape[-1:], u, v)", "layer_norm(x, x.shape[-1:], None, v, 1e-2)",
    "rms_norm(x, x.shape[-1:], u)", "rms_norm(x, x.shape[1:], eps=0.1)",
]  # fmt: skip


@pytest.mark.parametrize("call", NORMS)
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 5), (2, 4, 3, 2), (2, 4, 2, 2, 2)])
def test_normalisation(call, shape):
    if call == "group_norm(x, 4)" and len(shape) == 2:
        return  # one value a group
    w, b = numbers(4, seed=1, low=0.5), numbers(4, seed=2)
    u, v = numbers(shape[-1], seed=3), numbers(shape[-1], seed=4)
    # PyTorch fails at the second gradient where there is a bias and no weight.
    same_gradients(
        f"F.{call}",
        second="None, b)" not in call and "None, v" not in call,
        x=numbers(*shape),
        w=w,
        b=b,
        u=u,
        v=v,
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_normalisation_in_other_dtypes(dtype):
    kw = {
        "x": numbers(2, 4, 3),
        "w": numbers(4, seed=1, low=0.5),
        "u": numbers(3, seed=2),
        "m": np.zeros(4),
        "s": np.ones(4),
    }
    for call in ("batch_norm(x, m, s, w, training=True)", "batch_norm(x, m, s, w)", "layer_norm(x, (3,), u)",
                 "group_norm(x, 2, w)", "rms_norm(x, (3,), u)"):  # fmt: skip
        same_values(f"F.{call}", dtype, **kw)
    if dtype != "float32":  # statistics and weights may stay in float32
        same_values("F.batch_norm(x, m.float(), s.float(), w.float(), training=True)", dtype, **kw)
        same_values("F.layer_norm(x, (3,), u.float())", dtype, **kw)


@pytest.mark.parametrize("momentum", [0.1, 0.0, 1.0, 0.37])
def test_running_statistics(momentum):
    same_values(f"[F.batch_norm(x, m, s, training=True, momentum={momentum}), m, s, m._version]",
         x=numbers(3, 4, 2), m=numbers(4), s=numbers(4, low=1.0))  # fmt: skip


# Linear layers, embedding, padding ------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4,), (1, 4), (3, 4), (2, 3, 4), (2, 1, 3, 4), (0, 4)])
@pytest.mark.parametrize("call", ["linear(x, w)", "linear(x, w, b)"])
def test_linear(shape, call):
    names = len(shape) > 1 or "b" in call  # PyTorch squeezes the result of one row without bias
    same_gradients(f"F.{call}", names=names, x=numbers(*shape), w=numbers(5, 4), b=numbers(5))


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "int64"]
)
def test_linear_of_every_dtype(dtype):
    kw = {
        "x": 4 * numbers(3, 4),
        "w": 4 * numbers(5, 4),
        "b": 4 * numbers(5),
        "c": numbers(3, 1),
        "e": np.zeros((2, 0)),
    }
    same_values(
        "F.linear(x, w), F.linear(x, w, b), F.linear(x, w, b[:1]), F.linear(x, w, c), F.linear(x.t()[None].mT, w, b)",
        dtype,
        **kw,
    )
    same_values(
        "F.linear(e, e, b[:2]), F.linear(x[None, :0], w, b), F.linear(x, w[0])", dtype, **kw
    )


@pytest.mark.parametrize(
    "kw",
    [
        "",
        "padding_idx=2",
        "padding_idx=-1",
        "scale_grad_by_freq=True",
        "sparse=False, padding_idx=0",
    ],
)
def test_embedding(kw):
    for index in ("[[1, 2, 2], [0, 4, 2]]", "3", "[]"):
        call = f"F.embedding(torch.tensor({index}, dtype=torch.int64), w, {kw})"
        # In PyTorch the second gradient of an empty result fails, and that by frequency leaves the frequency out.
        same_gradients(call, second=index != "[]" and "freq" not in kw, w=numbers(5, 3))
    same_values(
        f"F.embedding(i.int(), w, {kw})", "bfloat16", i=np.array([1, 1, 4]), w=numbers(5, 3)
    )


@pytest.mark.parametrize("norm", ["2.0", "1.0, 1", "0.5, float('inf')"])
def test_embedding_renormalises_its_rows(norm):
    same_values(
        f"[F.embedding(i, w, None, {norm}), w, w._version]", i=np.array([0, 3, 3]), w=numbers(5, 3)
    )


@pytest.mark.parametrize("call", [
    "pad(x, (1, 2))", "pad(x, (1, -1, 0, 2), value=2.5)", "pad(x, (-1, 0, -1, 1, 1, 1))", "pad(x, (0, 0))", "pad(x, ())",
    "pad(x, (1, 2, 2, 1), 'reflect')", "pad(x, (3, 2, 0, 1), 'replicate')", "pad(x[0], (4, 1), 'replicate')",
    "pad(x[0], (2, 1), 'reflect')", "pad(x[None], (1, 2, 2, 1, 1, 0), 'reflect')", "pad(x, (-1, 2, 1, -1), 'replicate')",
])  # fmt: skip
def test_pad(call):
    same_gradients(f"F.{call}", x=numbers(2, 3, 4, 5))


def test_pad_in_a_circle():
    # PyTorch's is a composite of copies, with other names in its graph.
    for pad in ((1, 2, 2, 1), (0, 5, 4, 0), (-1, 2, 0, 1)):
        same_values(f"F.pad(x, {pad}, 'circular')", x=numbers(2, 3, 4, 5))
    same_values(
        "F.pad(x, (1, 1), 'circular'), F.pad(x, (2, 1), value=True), F.pad(x[0], (1, 1), value=3)",
        x=np.arange(8).reshape(1, 2, 4),
    )


# Losses ---------------------------------------------------------------------------------------

REDUCTIONS = ("mean", "sum", "none")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("call", [
    "mse_loss(x, y", "l1_loss(x, y", "smooth_l1_loss(x, y, beta=0.7", "smooth_l1_loss(x, y, beta=0", "huber_loss(x, y, delta=0.8",
    "mse_loss(x, y, weight=w!", "l1_loss(x, y, weight=w!", "huber_loss(x, y, weight=w!", "mse_loss(x, y[0]",
    "kl_div(x, y.detach() ** 2", "kl_div(x, y, log_target=True",
    "binary_cross_entropy(x.sigmoid(), y.sigmoid()", "binary_cross_entropy(x.sigmoid(), y.sigmoid(), w![0]",
    "binary_cross_entropy_with_logits(x, y", "binary_cross_entropy_with_logits(x, y, w!", "binary_cross_entropy_with_logits(3 * x, y, pos_weight=w![0]",
])  # fmt: skip
def test_loss_of_each_element(call, reduction):
    x, y, w = numbers(3, 4), numbers(3, 4, seed=1), numbers(3, 4, low=0.1)
    call = call.replace("w!", f"torch.tensor({w.tolist()}, dtype=x.dtype)")
    # PyTorch has no second gradient of huber_loss.
    same_gradients(f"F.{call}, reduction='{reduction}')", x=x, y=y, second="huber" not in call)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("infinite", ["float('inf')", "float('nan')"])
def test_the_weight_of_an_ignored_class_counts_nothing(infinite, smoothing):
    weight = f"torch.tensor([1, {infinite}, 2], dtype=x.dtype)"
    for target in ("[1, 0]", "[1, 1]", "[2, 1]"):
        args = f"torch.tensor({target}), {weight}, ignore_index=1, reduction='sum'"
        for call in ("nll_loss(x.log_softmax(1)", "cross_entropy(x"):
            end = f", label_smoothing={smoothing})" if "cross" in call else ")"
            same_values(f"F.{call}, {args}{end}", x=numbers(2, 3))
            if not smoothing:
                same_gradients(f"F.{call}, {args}{end}", x=numbers(2, 3))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kw", ["", "weight=w", "ignore_index=1", "weight=w, ignore_index=2", "label_smoothing=0.3",
                                "label_smoothing=0.3, weight=w", "label_smoothing=0.2, weight=w, ignore_index=1"])  # fmt: skip
def test_classification(kw, reduction):
    for shape, target in (((5,), "2"), ((4, 5), "[1, 0, 4, 1]"), ((2, 5, 3), "[[1, 0, 4], [2, 2, 1]]"),
                          ((2, 5, 1, 2), "[[[1, 0]], [[2, 1]]]"), ((2, 5), "[-100, 3]")):  # fmt: skip
        if "-100" in target and "ignore" in kw:
            continue
        given = kw.replace("=w", f"=torch.tensor({numbers(5, low=0.2).tolist()}, dtype=x.dtype)")
        args = f"torch.tensor({target}), reduction='{reduction}', {given})"
        # PyTorch sees the loss of (N, C, L) as a view of an image's.
        end = " + 0" if reduction == "none" and len(shape) == 3 else ""
        if "smoothing" not in kw:
            same_gradients(
                f"F.nll_loss(x.log_softmax({min(len(shape) - 1, 1)}), {args}{end}",
                x=numbers(*shape),
            )
        same_gradients(f"F.cross_entropy(x, {args}{end}", x=numbers(*shape))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kw", ["", "weight=w[:, 0].detach().abs()", "label_smoothing=0.3"])
def test_classification_by_probabilities(kw, reduction):
    for x in (numbers(4, 5), numbers(2, 5, 3), numbers(5)):
        call = f"F.cross_entropy(x, y.softmax({min(x.ndim - 1, 1)}), {kw + ', ' if kw else ''}reduction='{reduction}')"
        same_gradients(f"({call}) * 1", x=x, y=numbers(*x.shape, seed=2), w=numbers(5, 1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_losses_in_other_dtypes(dtype):
    kw = {
        "x": numbers(3, 4),
        "y": numbers(3, 4, seed=1),
        "p": numbers(3, 4, low=0.1, high=0.9),
        "t": np.array([1, 0, 3]),
    }
    for call in ("mse_loss(x, y)", "l1_loss(x, y)", "smooth_l1_loss(x, y)", "huber_loss(x, y)", "cross_entropy(x, t)",
                 "cross_entropy(x, t, label_smoothing=0.2)", "binary_cross_entropy(p, p)", "binary_cross_entropy_with_logits(x, p)",
                 "cross_entropy(x, p)", "kl_div(x, p, reduction='batchmean')", "mse_loss(x, y.double())", "mse_loss(x, t[:1])"):  # fmt: skip
        same_values(f"F.{call}", dtype, **kw)


def test_losses_of_nothing_and_of_extremes():
    e, i = np.zeros((0, 5)), np.zeros(0, np.int64)
    for r in REDUCTIONS:
        same_values(
            f"F.cross_entropy(e, i, reduction='{r}'), F.mse_loss(e, e, reduction='{r}'), F.l1_loss(e, e, reduction='{r}')",
            e=e,
            i=i,
        )
        same_values(
            f"F.cross_entropy(x, i, reduction='{r}')", x=numbers(2, 5), i=np.array([-100, -100])
        )
        same_values(
            f"F.binary_cross_entropy(p, q, reduction='{r}')",
            p=np.array([0.0, 1.0, 0.0]),
            q=np.array([0.0, 1.0, 1.0]),
        )
        same_values(
            f"F.binary_cross_entropy_with_logits(p, q, reduction='{r}')",
            p=np.array([900.0, -900.0]),
            q=np.array([0.0, 1.0]),
        )
        same_values(
            f"F.cross_entropy(x, i, reduction='{r}')",
            x=np.array([[np.inf, 1.0], [-np.inf, -np.inf], [500.0, -500.0]]),
            i=np.array([0, 1, 1]),
        )
    same_values(
        "F.nll_loss(x, i.byte()), F.cross_entropy(x[0], i[:1])", x=numbers(2, 5), i=np.array([1, 3])
    )


# Attention and directions ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "kw", ["", "is_causal=True", "scale=0.3", "attn_mask=m", "attn_mask=m > 0", "attn_mask=m > 9"]
)
def test_attention(kw):
    q, k, v = numbers(2, 3, 4, 5), numbers(2, 3, 6, 5, seed=1), numbers(2, 3, 6, 2, seed=2)
    # PyTorch's node is of a kernel of its own; "+ 0" gives both one name.
    call = f"F.scaled_dot_product_attention(q, k, v, {kw.replace('m', 'm.detach()') if 'mask' in kw else kw}) + 0"
    call = call.replace("attn_m.detach()ask", "attn_mask")
    same_gradients(call, q=q, k=k, v=v, m=numbers(4, 6, seed=3))


def test_attention_of_shared_heads_and_of_other_ranks():
    kw = {
        "q": numbers(2, 4, 3, 5),
        "k": numbers(2, 2, 3, 5, seed=1),
        "v": numbers(2, 2, 3, 5, seed=2),
    }
    same_values("F.scaled_dot_product_attention(q, k, v, enable_gqa=True)", **kw)
    same_values("F.scaled_dot_product_attention(q[0, 0], k[0, 0], v[0, 0], is_causal=True)", **kw)
    same_values(
        "F.scaled_dot_product_attention(q[0], k[0].repeat(2, 1, 1), v[0].repeat(2, 1, 1))",
        "float32",
        **kw,
    )


@pytest.mark.parametrize("call", [
    "cosine_similarity(x, y)", "cosine_similarity(x, y[0], 0)", "cosine_similarity(x, y, -1, 2.0)", "cosine_similarity(x, 0 * y)",
    "normalize(x)", "normalize(x, 1, 0)", "normalize(x, 3.0)", "normalize(x, float('inf'), -1)", "normalize(x, eps=50.0)",
])  # fmt: skip
def test_directions(call):
    same_gradients(f"F.{call}", x=numbers(3, 4), y=numbers(3, 4, seed=1), second="0 *" not in call)


def test_one_hot():
    same_values(
        "F.one_hot(i), F.one_hot(i, 7), F.one_hot(i[0, 0]), F.one_hot(i[:0], 3)",
        i=np.array([[1, 0], [4, 2]]),
    )


# Activations ----------------------------------------------------------------------------------

ACTIVATIONS = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "hardtanh", "hardsigmoid", "hardswish", "silu", "mish",
    "softsign", "tanhshrink", "glu", "softplus", "logsigmoid", "gelu", "hardshrink", "softshrink", "sigmoid", "tanh",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    # PyTorch has no second gradient of these two; its celu and glu have nodes of their own.
    second, names = name not in ("hardswish", "hardsigmoid"), name not in ("celu", "glu")
    same_gradients(f"F.{name}(x)", second, names, x=numbers(3, 4, low=-4.0, high=4.0))


@pytest.mark.parametrize(
    "call",
    [
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "hardtanh",
        "hardsigmoid",
        "hardswish",
        "silu",
        "mish",
    ],
)
def test_activation_in_place(call):
    same_gradients(f"(lambda y: F.{call}(y, inplace=True))(x * 1)", False, False, x=numbers(3, 4))


@pytest.mark.parametrize("call", [
    "leaky_relu(x, 0.3)", "elu(x, 2.0)", "celu(x, 0.5)", "hardtanh(x, -0.5, 0.75)", "threshold(x, 0.3, 7)", "softplus(x, 2, 1.5)",
    "gelu(x, approximate='tanh')", "softmax(x, 0)", "log_softmax(x, -1)", "softmin(x, 1)", "softmax(x)", "softmax(x, 1, dtype=torch.float64)",
    "relu_(x * 1)", "elu_(x * 1)", "leaky_relu_(x * 1, 0.2)", "hardtanh_(x * 1)", "selu_(x * 1)", "celu_(x * 1, 2.0)", "threshold_(x * 1, 0, 1)",
])  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_activation_with_options(call):
    same_gradients(f"F.{call}", names="_(" not in call and "celu" not in call, x=numbers(3, 4))


# Dropout --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [
    "dropout(x, 0.3)", "dropout(x, 0.0)", "dropout(x, 1.0)", "dropout(x, 0.5, False)", "dropout(x * 1, 0.4, inplace=True)",
    "dropout1d(x[0], 0.4)", "dropout1d(x[0, 0], 0.4)", "dropout2d(x, 0.4)", "dropout2d(x[0], 0.4)", "dropout2d(x[0, 0])", "dropout3d(x, 0.4)",
    "dropout2d(x, 1.0)", "alpha_dropout(x, 0.3, True)", "alpha_dropout(x, 0.3)", "feature_alpha_dropout(x, 0.4, True)",
    "alpha_dropout(x, 1.0, True)", "dropout2d(x * 1, 0.4, inplace=True)", "dropout(x.transpose(1, 3), 0.4)",
])  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_dropout_draws_as_pytorch_does(call):
    for dtype in ("float32", "float64", "bfloat16"):
        call_ = f"[torch.manual_seed(5) and F.{call}, torch.rand(1)]"
        same_values(call_, dtype, x=numbers(2, 3, 4, 5))


def test_dropout_of_an_unusual_number_of_dims_warns_once_for_all_shapes():
    drop = rushlight.nn.functional.dropout2d
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for size in range(2, 6):
            drop(rushlight.ones(size, 4))
    assert len(caught) == 1


def test_smoothed_labels_of_no_classes():
    entropy = rushlight.nn.functional.cross_entropy
    target = rushlight.zeros(0, dtype=rushlight.int64)
    found = entropy(rushlight.zeros(0, 0), target, reduction="none", label_smoothing=0.1)
    assert found.shape == (0,)
    assert entropy(rushlight.zeros(0, 0), target, label_smoothing=0.1).isnan()


def test_normalisation_of_no_channels_and_of_one_value():
    functional = rushlight.nn.functional
    assert functional.instance_norm(rushlight.ones(1, 0, 2)).shape == (1, 0, 2)
    with pytest.raises(ValueError, match="more than 1 value"):
        functional.batch_norm(rushlight.ones(1, 0), None, None, training=True)
    x = rushlight.ones(2, 0, requires_grad=True)
    functional.batch_norm(x, None, None, training=True).sum().backward()
    assert x.grad.shape == (2, 0)


def test_products_of_vectors_are_no_views():
    assert not (rushlight.ones(2, 2, 3) @ rushlight.ones(3))._is_view()
    x = rushlight.ones(2, 2, 3, requires_grad=True)
    y = x @ rushlight.ones(3)
    y[0].mul_(2)
    y.sum().backward()
    assert x.grad[:, 0, 0].tolist() == [2.0, 1.0]


def test_the_mean_of_an_empty_image_is_nan_and_several_are_refused():
    pool = rushlight.nn.functional.adaptive_avg_pool2d
    assert pool(rushlight.zeros(1, 2, 0, 3), 1).isnan().all()
    assert pool(rushlight.zeros(1, 0, 2, 3), 2).shape == (1, 0, 2, 2)
    with pytest.raises(RuntimeError, match="non-zero size"):
        pool(rushlight.zeros(1, 2, 0, 3), 2)


def test_addmm_of_an_input_of_more_dims_is_refused():
    x = rushlight.ones(1, 1)
    with pytest.raises(RuntimeError):
        rushlight.addmm(rushlight.ones(1, 1, 1), x, x)
    with pytest.raises(RuntimeError):
        rushlight.ones(1, 1, 1).addmm_(x, x)


@pytest.mark.parametrize("name, shapes", [
    ("addmm", ((2, 2), (2, 3), (3, 2))), ("addmv", ((2,), (2, 3), (3,))),
    ("addr", ((2, 3), (2,), (3,))), ("baddbmm", ((1, 2, 2), (2, 2, 3), (2, 3, 2))),
    ("addbmm", ((2, 2), (2, 2, 3), (2, 3, 2))),
])  # fmt: skip
def test_an_input_that_beta_0_drops_has_the_gradient_0(name, shapes):
    x = rushlight.full(shapes[0], float("nan"), requires_grad=True)
    factors = [rushlight.ones(shape) for shape in shapes[1:]]
    found = getattr(rushlight, name)(x, *factors, beta=0)
    assert not found.isnan().any()
    found.sum().backward()
    assert x.grad.shape == x.shape and not x.grad.any()


def test_instance_norm_by_running_statistics_gives_contiguous_results():
    norm = rushlight.nn.InstanceNorm2d(2, track_running_stats=True).eval()
    x = rushlight.randn(2, 2, 3, 3).to(memory_format=rushlight.channels_last)
    assert norm(x).is_contiguous()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_query_that_sees_nothing_has_the_gradient_0(compiled):
    attend = rushlight.nn.functional.scaled_dot_product_attention
    run = rushlight.compile(lambda *args: attend(*args)) if compiled else attend
    hidden = rushlight.tensor([[-float("inf")] * 2, [0.0, 0.0]])
    for mask in (hidden, hidden == 0, hidden.clone().requires_grad_()):
        query, key, value = [rushlight.randn(2, 3, requires_grad=True) for _ in range(3)]
        out = run(query, key, value, mask)
        out.sum().backward()
        assert not out[0].any() and not query.grad[0].any()
        assert all(t.grad.isfinite().all() for t in (query, key, value))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_channel_without_variance_is_normalised_to_0_if_eps_is_0(compiled):
    def f(x):
        out = rushlight.batch_norm(x, None, None, None, None, True, 0.1, 0.0, False)
        return out, (out * rushlight.tensor([[1.0], [3.0], [5.0]])).sum()

    x = rushlight.tensor([[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]], requires_grad=True)
    out, total = (rushlight.compile(f) if compiled else f)(x)
    total.backward()
    assert out[:, 0].tolist() == [0, 0, 0] and round(out[2, 1].item(), 4) == 1.2247
    assert x.grad[:, 0].tolist() == [0, 0, 0] and x.grad.isfinite().all()
