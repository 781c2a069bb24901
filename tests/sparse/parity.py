"""Expressions that rushlight and PyTorch evaluate, and one description of both results."""

import warnings

import numpy as np


def operands(torch):
    """Named operands of every layout, the same for both frameworks."""
    x = torch.sparse_coo_tensor([[0, 0, 1], [2, 2, 0]], [1.0, 2.0, 3.0], (2, 3))
    y = torch.sparse_coo_tensor([[0, 1, 1], [1, 0, 2]], [4.0, -5.0, 6.0], (2, 3)).coalesce()
    c = x.coalesce()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "torch": torch, "S": x, "C": c, "Y": y, "D": torch.arange(6.0).reshape(2, 3),
            "H": torch.sparse_coo_tensor([[0, 1]], [[1.0, 2.0], [3.0, 4.0]], (3, 2)),
            "R": c.to_sparse_csr(), "Q": y.to_sparse_csc(), "W": torch.ones(3, 4),
            "Z": torch.tensor([[1.0 + 2j, 0], [0, 3j]]).to_sparse(),
            "I": torch.tensor([2, 0, 2]), "N": torch.sparse_coo_tensor(size=(2, 3)),
        }  # fmt: skip


def parts(x):
    """The indices and the values of a sparse tensor."""
    name = str(x.layout)
    if name == "torch.sparse_coo":
        return x._indices(), x._values()
    if name in ("torch.sparse_csr", "torch.sparse_bsr"):
        return x.crow_indices(), x.col_indices(), x.values()
    return x.ccol_indices(), x.row_indices(), x.values()


def description(torch, x):
    """What both frameworks must agree on, as plain Python values and arrays."""
    if isinstance(x, torch.Tensor):
        layout = str(x.layout)
        if layout == "torch.strided":
            return ["dense", str(x.dtype), tuple(x.shape), x.detach().resolve_conj().numpy()]
        merged = x.is_coalesced() if layout == "torch.sparse_coo" else None
        arrays = [t.detach().resolve_conj().numpy() for t in parts(x)]
        return [layout, str(x.dtype), tuple(x.shape), merged, *arrays]
    if isinstance(x, (tuple, list)):
        return [description(torch, item) for item in x]
    return [str(x)]


def same(a, b):
    """Assert that two descriptions agree: values up to rounding, all else exactly."""
    assert len(a) == len(b)
    for p, q in zip(a, b, strict=True):
        if isinstance(p, np.ndarray):
            assert p.shape == q.shape, (p, q)
            np.testing.assert_allclose(p, q, rtol=2e-6, atol=1e-6)
        elif isinstance(p, list):
            same(p, q)
        elif isinstance(p, bool):  # whether it is coalesced: rushlight knows it more often
            assert p or not q
        else:
            assert p == q


def evaluated(torch, text):
    """The description of the expression's value, or the type of its error."""
    names = operands(torch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = eval(text, names)
        except Exception as error:
            kinds = (NotImplementedError, RuntimeError, TypeError, ValueError, IndexError)
            return next(kind for kind in kinds if isinstance(error, kind))
    return description(torch, found)
