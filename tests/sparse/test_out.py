"""``out=`` of functions of sparse tensors: where PyTorch takes it, with PyTorch's result."""

import warnings

import pytest

import rushlight

torch = pytest.importorskip("torch")

NAMES = {
    1: ["neg", "sin", "sqrt", "abs", "sign", "sgn", "ceil", "floor", "round", "trunc", "log1p", "expm1", "tanh", "erf", "rad2deg"],
    2: ["add", "sub", "mul", "mm", "matmul", "hspmm"], 3: ["addmm"],
}  # fmt: skip
LAYOUTS = "coo", "csr", "dense"


def made(t, layout, values):
    x = t.tensor(values)
    return {"coo": x.to_sparse, "csr": x.to_sparse_csr, "dense": lambda: x}[layout]()


def outcome(t, name, layouts, out):
    """The dense numbers of ``out`` and its layout, or None where the call raises."""
    values = [[0.0, 2], [3, 0]], [[1.0, 2], [0, 0]]
    given = [made(t, k, v) for k, v in zip(layouts, values, strict=False)]
    if name == "addmm":
        given = [t.ones(2, 2), *given]
    into = made(t, out, [[0.0, 0], [0, 0]])
    try:
        assert getattr(t, name)(*given, out=into) is into
    except (RuntimeError, TypeError):
        return None
    return into.to_dense().tolist(), str(into.layout)


@pytest.mark.filterwarnings("ignore")
def test_out_is_taken_where_pytorch_takes_it():
    count = 0
    for operands, names in NAMES.items():
        pairs = [(a,) if operands == 1 else (a, b) for a in LAYOUTS[:2] for b in LAYOUTS]
        for name in names:
            for layouts in dict.fromkeys(pairs):
                for out in LAYOUTS:
                    theirs = outcome(torch, name, layouts, out)
                    if theirs is not None:
                        count += 1
                        ours = outcome(rushlight, name, layouts, out)
                        assert str(ours) == str(theirs), (name, layouts, out)
    assert count > 30


def test_what_out_becomes():
    t = rushlight
    x, out = made(t, "coo", [[0.0, 2], [3, 0]]), made(t, "coo", [[0.0, 0, 0]])
    assert t.sin(x, out=out).shape == (2, 2) and out.indices().tolist() == [[0, 1], [1, 0]]
    csr, dense = made(t, "csr", [[1.0]]), t.zeros(2, 2)
    assert t.mul(x, x, out=csr).layout is t.sparse_csr and csr.to_dense().tolist() == [
        [0, 4],
        [9, 0],
    ]
    assert t.sparse.addmm(dense, x, t.ones(2, 2), out=dense).tolist() == [[2, 2], [3, 3]]
    assert t.sum(x, out=t.empty(())).item() == 5
    with pytest.raises(RuntimeError, match="layout Strided"):
        t.sin(x, out=dense)
    with pytest.raises(RuntimeError, match="can't be cast"):
        t.sin(x, out=x.int())
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        t.sin(x.clone().requires_grad_(), out=out)
    with pytest.raises(TypeError, match="must be Tensor"), warnings.catch_warnings():
        t.mm(x, x, out=3)
