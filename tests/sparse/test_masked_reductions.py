"""``torch.masked`` with sparse tensors: as with dense ones where an element counts; as PyTorch."""

import random
import warnings

import pytest

import rushlight as torch

NAMES = ["sum", "prod", "amax", "amin", "mean"]
SHAPES = [(3, 4), (2, 3), (1, 4), (2, 3, 2), (4,), (2, 2, 2, 2)]
LAYOUTS = ["strided", "sparse_coo", "sparse_csr"]


def random_case(chance, name):
    """The numbers of a tensor and of a mask, their layouts, and the other arguments."""
    shape = chance.choice(SHAPES)
    layouts = LAYOUTS if len(shape) == 2 else LAYOUTS[:2]
    if name == "mean":  # of sparse tensors only CSR ones have a mean
        shape, layouts = (3, 4), LAYOUTS[:1] + LAYOUTS[2:]
    size = tuple([1 if chance.random() < 0.2 else n for n in shape])[chance.choice([0, 0, 1]) :]
    layout, of_mask = chance.choice(layouts[1:]), chance.choice(layouts)
    if len(size) != 2 and of_mask == "sparse_csr":
        of_mask = "sparse_coo"
    x = [chance.choice([0, 0, 1, 2, -1, 3]) for _ in range(torch.Size(shape).numel())]
    mask = [chance.random() < 0.6 for _ in range(torch.Size(size).numel())]
    dim = tuple(chance.sample(range(len(shape)), chance.randint(0, len(shape))))
    params = {"dim": chance.choice([None, dim]), "keepdim": layout == "sparse_csr"}
    if layout != "sparse_csr":
        params["keepdim"] = chance.random() < 0.5
    dtypes = ["float32", "float64", "float16", "int64", "int32", "uint8", "complex64"]
    if name in ("amax", "amin", "mean"):
        dtypes = dtypes[:3]
    dtype = chance.choice(dtypes)
    x = [abs(n) for n in x] if dtype == "uint8" else x
    hybrid = layout == "sparse_coo" and len(shape) > 1 and chance.random() < 0.2
    return (x, shape, dtype, 1 if hybrid else len(shape), layout), (mask, size, of_mask), params


def made(library, x, mask):
    """The tensor and its mask in ``library``."""
    numbers, shape, dtype, d, layout = x
    data = library.tensor(numbers, dtype=getattr(library, dtype)).reshape(shape)
    flags, size, of_mask = mask
    kept = library.tensor(flags, dtype=library.bool).reshape(size)
    layouts = {"strided": lambda t: t, "sparse_csr": lambda t: t.to_sparse_csr()}
    if of_mask != "sparse_coo":
        kept = layouts[of_mask](kept)
    else:
        kept = kept.to_sparse()
    return (data.to_sparse(d) if layout == "sparse_coo" else layouts[layout](data)), kept


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_dense_tensors_where_an_element_counts(name):
    chance, compared = random.Random(name), 0
    call = getattr(torch.masked, name)
    for _ in range(120):
        x, mask, params = random_case(chance, name)
        data, kept = made(torch, x, mask)
        found = call(data, mask=kept, **params)
        assert found.layout is data.layout
        found = found.to_dense()
        wanted = call(data.to_dense(), mask=kept.to_dense(), **params)
        full = torch.broadcast_to(kept.to_dense(), data.shape)
        counts = full.any(params["dim"] or None, keepdim=params["keepdim"])
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), (x, mask, params)
        both = found.masked_fill(~counts, 0), wanted.masked_fill(~counts, 0)
        torch.testing.assert_close(*both, rtol=1e-2, atol=1e-2)
        compared += 1
    assert compared == 120


@pytest.mark.parametrize("name", ["sum", "prod", "amax", "amin"])
def test_gradients_are_those_of_dense_tensors_at_stored_elements(name):
    x = torch.tensor([[0.0, 3.0, 2.0], [5.0, 0.0, 4.0]])
    mask = torch.tensor([[True, False, True], [True, True, False]])
    sparse, dense = x.to_sparse().requires_grad_(), x.clone().requires_grad_()
    getattr(torch.masked, name)(sparse, 1, mask=mask.to_sparse()).to_dense().sum().backward()
    getattr(torch.masked, name)(dense, 1, mask=mask).sum().backward()
    assert torch.equal(sparse.grad.to_dense(), dense.grad * (x != 0))


@pytest.mark.parity
@pytest.mark.parametrize("name", NAMES)
def test_functions_as_pytorch(name):
    peer = pytest.importorskip("torch")
    chance, compared = random.Random(name), 0
    for _ in range(120):
        x, mask, params = random_case(chance, name)
        if x[3] < len(x[1]):
            continue  # PyTorch refuses the mask, or returns NotImplemented
        results = []
        for library in (torch, peer):
            data, kept = made(library, x, mask)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    results.append(getattr(library.masked, name)(data, mask=kept, **params))
            except (RuntimeError, NotImplementedError):
                results.append(None)
        ours, theirs = results
        if theirs is None or (x[4] == "sparse_csr" and not theirs._nnz()):
            continue  # PyTorch fails at a row without elements, and its empty results are malformed
        what = (x, mask, params)
        assert (str(ours.layout), str(ours.dtype)) == (str(theirs.layout), str(theirs.dtype)), what
        assert tuple(ours.shape) == tuple(theirs.shape), what
        if ours.ndim:
            ours, theirs = ours.to_dense(), theirs.to_dense()
        else:
            ours, theirs = ours._values().sum(), theirs._values().sum()
        found = peer.tensor(ours.tolist(), dtype=theirs.dtype).reshape(theirs.shape)
        peer.testing.assert_close(
            found, theirs, rtol=1e-2, atol=1e-2, msg=str(what), equal_nan=True
        )
        compared += 1
    assert compared > 40


@pytest.mark.parametrize(("call", "error"), [
    (lambda x, m: torch.masked.prod(x), ValueError),
    (lambda x, m: torch.masked.amax(x), ValueError),
    (lambda x, m: torch.masked.mean(x, mask=m), ValueError),
    (lambda x, m: torch.masked.softmax(x, 1, mask=m), ValueError),
    (lambda x, m: torch.masked.argmax(x, 1, mask=m), ValueError),
    (lambda x, m: torch.masked.sum(x.to_sparse_csr(), 1, mask=m), RuntimeError),
    (lambda x, m: torch.masked.amax(x.to_sparse_csr(), 1, mask=m), AssertionError),
    (lambda x, m: torch.masked.sum(x.to_sparse_csc(), 1, keepdim=True), ValueError),
])  # fmt: skip
def test_refused(call, error):
    x = torch.tensor([[1.0, 0.0], [2.0, 3.0]])
    with pytest.raises(error):
        call(x.to_sparse(), x > 1)


def test_a_sum_needs_no_mask():
    x = torch.tensor([[1.0, 0.0], [2.0, 3.0]])
    assert torch.masked.sum(x.to_sparse(), 1).to_dense().tolist() == [1, 5]
    assert torch.masked.sum(x.to_sparse_csr(), 1, keepdim=True).to_dense().tolist() == [[1], [5]]
