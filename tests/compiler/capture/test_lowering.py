"""Lowered programs, replayed on NumPy, give what the operations give eagerly.

``python -m tests.compiler.capture.test_lowering`` lists what stays opaque, and why.
"""

import numpy as np
import pytest

import rushlight as torch
from rushlight.compiler.calls import gradient, wrapper
from rushlight.compiler.calls.compiled import Compiled
from rushlight.compiler.capture.lowering import expand
from rushlight.compiler.run.program import Program
from rushlight.nn import functional as F
from rushlight.ops.core.definition import OPS
from tests import conformance as c
from tests.test_conformance import by_operation, every

pytest.importorskip("llvmlite", reason="only native programs are lowered")

#: What the compiler has kernels for, besides elementwise operations and views.
PRIMITIVES = {
    "all", "amax", "amin", "any", "arange_", "argmax", "argmin", "bmm", "check_range", "clone",
    "convolution", "convolution_input_grad", "convolution_weight_grad", "cummax", "cummin",
    "constant_pad_nd", "cumprod", "cumsum", "full", "gather", "mm", "patch", "prod", "reshape",
    "scatter", "scatter_add", "sum", "to_copy", "unset",
}  # fmt: skip
#: What stays a call of its NumPy forward unless it gets a kernel of its own, and why.
OPAQUE = {
    "draws from a generator": (
        "random bernoulli multinomial poisson normal rrelu_slopes standard_gamma sample_dirichlet "
        "binomial von_mises"
    ),
    "an integral for each element": "_standard_gamma_grad _dirichlet_grad",
    "sorts": "sort argsort topk kthvalue median median_dim nanmedian nanmedian_dim mode",
    "searches": "searchsorted histc histogram_counts bag_maxima nonzero_static",
    "the bits of a number": "frexp ldexp nextafter",
    "pools": (
        "max_pool_backward max_pool_positions max_pool_noted window_sum_backward "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d adaptive_max_positions fractional_max_positions"
    ),
    "weights from a table, made once for the sizes": (
        "upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_nearest_exact1d "
        "upsample_nearest_exact2d upsample_nearest_exact3d upsample_bilinear2d_aa "
        "upsample_bicubic2d_aa upsample_lanczos2d_aa upsample_backward"
    ),
    "each element needs the one before": "recurrence logcumsumexp ctc_loss ctc_loss_backward",
    "a constant, made once": "linspace_ logspace_ triangle_indices",
    "edges that depend on the least and the greatest element": "histogram_edges",
    "a product and its norms, kept from below zero": "cdist_by_product",
    "complex numbers": "complex",
    "looks for the rows that occur": "embedding_renorm",
    "a tensor of one element without dims": "scatter_value",
    "extrema and products at places that repeat": "scatter_reduced",
    "matrices, by recurrences over their rows": (
        "linalg_cholesky_ex linalg_eigh linalg_matrix_exp linalg_qr linalg_slogdet "
        "linalg_solve linalg_solve_triangular linalg_svd geqrf linalg_det linalg_inv_ex "
        "linalg_pinv linalg_ldl_factor_ex linalg_ldl_solve linalg_lu_factor_ex lu_row_order "
        "linalg_lstsq linalg_cofactor lobpcg householder_product ormqr linalg_lu_solve"
    ),
    "a view, where the gradient lies in memory otherwise than the tensor": "seen",
    "products with a sparse matrix": "sparse_product sparse_sampled_product sparse_solve",
    "sums windows that overlap": "collect pick overlap_add",
}
ALLOWED = PRIMITIVES | {name for names in OPAQUE.values() for name in names.split()}


@pytest.fixture
def lowered(monkeypatch):
    """Have programs made of lowered equations; gives the list of those, program by program."""
    programs = []

    def make(equations, inputs, outputs, writes=()):
        made = Program(expand(equations), inputs, outputs, writes)
        programs.append(made.equations)
        return made

    monkeypatch.setattr(wrapper, "make_program", make)
    monkeypatch.setattr(gradient, "make_program", make)
    return programs


def left(program):
    """The operations of a lowered program that are neither elementwise nor views.

    Left out is what no lowering serves: complex numbers, and results without elements.
    """
    found = set()
    for e in program:
        read = e.ins[0] if e.op.variadic else e.ins
        values = [v for v in (*read, *e.outs) if hasattr(v, "is_abstract")]
        if all(v.size and v.dtype.kind != "c" for v in values):
            found.add(e.op.name)
    return {n for n in found if OPS[n].kind not in ("elementwise", "view")}


def near(got, want, what):
    assert (got is None) == (want is None), what
    if not isinstance(got, torch.Tensor):
        return
    assert got.dtype == want.dtype and got.shape == want.shape, what
    a, b = c.array(got), c.array(want)
    if a.dtype.kind in "fc":
        tolerance = {"torch.float64": 1e-12, "torch.complex128": 1e-12, "torch.float16": 2e-3,
                     "torch.bfloat16": 1.6e-2}.get(str(got.dtype), 1e-5)  # fmt: skip
        c.close(a, b, tolerance, what)
    else:
        np.testing.assert_array_equal(a, b, err_msg=what)


def results(sample, dtype, call):
    """The outputs of a sample, and the gradients of a weighted sum of them."""
    given = c.tensors(torch, sample, dtype, requires_grad=sample.grad)
    torch.manual_seed(0)
    outs = c.flat(call(*given))
    roots = [o for o in outs if isinstance(o, torch.Tensor) and o.requires_grad]
    if not sample.grad or not roots:
        return outs
    seeds = [
        torch.from_numpy(np.asarray(c._weights(o, k))).to(o.dtype) for k, o in enumerate(roots)
    ]
    wanted = [t for t in given if t.requires_grad]
    return [*outs, *torch.autograd.grad(roots, wanted, seeds, allow_unused=True)]


@by_operation(lambda s: s.trace)
def test_same_as_eager(samples, lowered):
    every(samples, _same_as_eager, lowered)


def _same_as_eager(sample, lowered):
    for dtype in ("float32", "float64"):
        call = lambda *xs: sample.call(torch, *xs)
        want = results(sample, dtype, call)
        lowered.clear()
        got = results(sample, dtype, Compiled(call, fullgraph=True))
        assert lowered
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            near(g, w, f"{dtype}, result {k}")
        for program in lowered:
            assert left(program) <= ALLOWED, sorted(left(program) - ALLOWED)


# Half precision: in float32, rounded once -----------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["softmax", "logsumexp", "mean", "var", "layer_norm", "mse_loss"])
def test_half_precision(name, dtype, lowered):
    calls = {
        "layer_norm": lambda x: F.layer_norm(x, (64,)),
        "mse_loss": lambda x: F.mse_loss(x, x * 0.5),
        "mean": lambda x: x.mean(1),
        "var": lambda x: x.var(1),
    }
    call = calls.get(name, lambda x: getattr(torch, name)(x, dim=1))
    torch.manual_seed(0)
    x = (torch.randn(8, 64) * 8).to(getattr(torch, dtype))
    want = call(x)
    got = Compiled(call, fullgraph=True)(x)
    assert got.dtype == want.dtype
    near(got, want, name)


# Checks of values -----------------------------------------------------------------------------

_I = [0, 2, 1]
_WRONG = {
    "gather": (lambda x, i: x.gather(0, i.reshape(1, 3)), -1),
    "scatter": (lambda x, i: x.scatter(0, i.reshape(1, 3), x), 3),
    "scatter number": (lambda x, i: x.scatter(0, i.reshape(1, 3), 2.0), 3),
    "scatter_add": (lambda x, i: x.scatter_add(0, i.reshape(1, 3), x), 4),
    "index_select": (lambda x, i: x.index_select(1, i), 3),
    "index": (lambda x, i: x[:, i], -4),
    "index_put": (lambda x, i: x.index_put((i, i), torch.zeros(())), 3),
    "index_add": (lambda x, i: x.index_add(0, i, x), -1),
    "index_copy": (lambda x, i: x.index_copy(0, i, x), 3),
    "index_fill": (lambda x, i: x.index_fill(0, i, 1.0), -4),
    "take": (lambda x, i: x.take(i), 9),
    "embedding": (lambda x, i: F.embedding(i, x), 3),
    "one_hot": (lambda x, i: F.one_hot(i, 3), 3),
    "one_hot below": (lambda x, i: F.one_hot(i, 3), -1),
    "cross_entropy": (lambda x, i: F.cross_entropy(x, i), 3),
    "nll_loss": (lambda x, i: F.nll_loss(x, i, ignore_index=7), -1),
    "binary_cross_entropy": (lambda x, i: F.binary_cross_entropy(i.float() / 2, x.abs()[0]), 4),
}


@pytest.mark.parametrize("name", _WRONG)
def test_values_are_checked_before_anything_is_written(name, lowered):
    call, bad = _WRONG[name]
    count = torch.zeros(())

    def run(x, i):
        count.add_(1)
        call(x, i)  # what nobody reads is checked all the same

    x = torch.rand(3, 3)
    compiled = Compiled(run, fullgraph=True)
    compiled(x, torch.tensor(_I))
    wrong = torch.tensor([0, bad, 1])
    with pytest.raises((IndexError, RuntimeError)) as eager:
        call(x, wrong)
    with pytest.raises(eager.type) as lowered_:
        compiled(x, wrong)
    assert str(lowered_.value) == str(eager.value)
    # Once by each call: had the program written before it failed, the eager call would add again.
    assert count.item() == 2 and compiled.count == 1


# Whole steps: the gradients, too, are recorded in the one program ------------------------------


def _attention(dropout, **options):
    def call(q, k, v, *mask):
        return F.scaled_dot_product_attention(q, k, v, *mask, dropout_p=dropout, **options)

    return call


def _heads(*shape):
    return lambda: [torch.randn(*shape, 5, 4), torch.randn(*shape, 6, 4), torch.randn(*shape, 6, 3)]


def _masked():
    mask = torch.rand(5, 6) < 0.5
    mask[2] = False  # a query that sees nothing
    return [*_heads(2, 3)(), mask]


def _parts(taken):
    return lambda x: sum((p * (k + 1)).sin().sum() for k, p in enumerate(taken(x)))


def _matrix():
    return [torch.randn(5, 6)]


def _pads(mode):
    shapes = ((-1, 2, 2, -1), (2, -1, -2, 1), (1, 1, -1, -1))
    return lambda x: sum(F.pad(x[None], pad, mode).sin().sum() for pad in shapes)


def _narrow(x):
    """Indices of int32, and a source that is larger than its index."""
    i = torch.tensor([[0, 2], [1, 1], [3, 0]], dtype=torch.int32)
    found = x.gather(1, i) + x.scatter_add(1, i, x.exp())[:3, :2]
    return found * x.scatter(1, i.long(), x.cos())[:3, :2] + x.index_select(1, i[0])[:3]


def _twice(x):
    i = torch.tensor([4, 1, 1, 0])
    out = F.embedding(i, x, padding_idx=0, scale_grad_by_freq=True) ** 3
    (g,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    return g


def _places(x):
    return x.sum() * x.argmax() + x.argmin(keepdim=True) * x[0, 0]


CALLS = {
    "attention": (_attention(0.0), _heads(2, 3)),
    "attention, causal": (_attention(0.0, is_causal=True), _heads(2)),
    "attention, dropped": (_attention(0.4, scale=0.3), _heads()),
    "attention, masked": (_attention(0.0), _masked),
    "attention, biased": (_attention(0.1), lambda: [*_heads(2)(), torch.randn(5, 6)]),
    "attention, biased by a constant": (
        lambda q, k, v: _attention(0.0)(q, k, v, torch.arange(30.0).double().reshape(5, 6).sin()),
        _heads(2),
    ),
    "reflected": (_pads("reflect"), _matrix),
    "replicated": (_pads("replicate"), _matrix),
    "wrapped": (_pads("circular"), _matrix),
    "narrow indices": (_narrow, _matrix),
    "places": (_places, _matrix),
    "twice": (_twice, _matrix),
    "split": (_parts(lambda x: x.split(2, 1)), _matrix),
    "unbound": (_parts(lambda x: x.unbind(0)), _matrix),
    "strided": (_parts(lambda x: (x[:, ::2], x[:, 1::2], x[1:2, :3], x[..., -3:])), _matrix),
    "whole": (_parts(lambda x: (x[2:4], x.exp(), x[3:])), _matrix),
}


def _step(call):
    def step(*leaves):
        out = call(*leaves)
        (out * out.cos()).sum().backward()
        return out

    return step


def _after(step, given):
    """The result of a step on leaves of these values, and their gradients."""
    leaves = [t.clone().requires_grad_(t.is_floating_point()) for t in given]
    torch.manual_seed(2)
    return [step(*leaves), *[t.grad for t in leaves]]


@pytest.mark.parametrize("name", CALLS)
def test_whole_steps(name, lowered):
    call, inputs = CALLS[name]
    torch.manual_seed(1)
    given = [t.double() if t.is_floating_point() else t for t in inputs()]
    want = _after(_step(call), given)
    got = _after(Compiled(_step(call), fullgraph=True), given)
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        near(g, w, f"result {k}")


def test_parts_are_written_not_added(lowered):
    _after(Compiled(_step(_parts(lambda x: x.unbind(0))), fullgraph=True), _matrix())
    (program,) = lowered
    names = [e.op.name for e in program if tuple(e.outs[0].shape) == (5, 6)]
    assert names.count("patch") == 4 and "add" not in names


def test_writes_and_sums_at_an_index_are_different_kernels():
    pytest.importorskip("llvmlite")
    x, i = torch.randn(3, 5), torch.tensor([[0, 2], [1, 1], [3, 0]])
    call = lambda x, i: (x.scatter_add(1, i, x[:, :2]), x.scatter(1, i, x[:, :2]))
    for got, want in zip(Compiled(call, fullgraph=True)(x, i), call(x, i), strict=True):
        near(got, want, "")


def test_the_gradient_of_each_sample_is_no_product_of_matrices(lowered):
    """It is an outer product. As a sum of one term it took three times as long."""
    loss = lambda w, x: F.linear(x[None], w).tanh().sum()
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))
    w, x = torch.randn(7, 5), torch.randn(33, 5)
    near(Compiled(each, fullgraph=True)(w, x), each(w, x), "")
    (program,) = lowered
    assert "bmm" not in {e.op.name for e in program}


if __name__ == "__main__":
    for why, names in OPAQUE.items():
        print(f"{why}: {', '.join(names.split())}")
