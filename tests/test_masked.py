"""``torch.masked``: as PyTorch for random shapes, masks and dtypes; MaskedTensor and its gradients."""

import random
import warnings

import pytest

import rushlight as torch
from rushlight import masked
from rushlight.masked.names import BINARY, UNARY

X = torch.arange(6.0).reshape(2, 3)
MASK = torch.tensor([[True, False, True], [False, False, False]])

#: Functions that reduce dims, with the forms of their other arguments.
REDUCTIONS = {
    "sum": [{}], "prod": [{}], "amax": [{}], "amin": [{}], "mean": [{}], "logsumexp": [{}],
    "norm": [{}, {"ord": 1.0}, {"ord": float("inf")}, {"ord": 3.0}, {"ord": 0}, {"ord": float("-inf")}],
    "var": [{}, {"unbiased": False}, {"correction": 2}], "std": [{}, {"unbiased": True}, {"correction": 0}],
}  # fmt: skip
ONE_DIM = {
    "argmax": [{}], "argmin": [{}], "median": [{}], "cumsum": [{}], "cumprod": [{}], "softmax": [{}],
    "log_softmax": [{}], "softmin": [{}], "normalize": [{"ord": 2.0}, {"ord": 1.0, "eps": 0.5}],
}  # fmt: skip
NO_KEEPDIM = "cumsum cumprod softmax log_softmax softmin normalize"
DTYPES = [
    "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool",
    "complex64",
]  # fmt: skip
SHAPES = [(), (1,), (5,), (2, 3), (3, 1, 4), (2, 3, 2, 2), (0,), (2, 0)]


def outcome(call):
    """The result, or the exception, of ``call()``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except Exception as e:
        return e


def same(ours, theirs, peer, rtol, what):
    """Assert that ours is a tensor as theirs, or an error of the same kind."""
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert isinstance(theirs, Exception), f"{what}: {ours!r} instead of {theirs}"
        kinds = RuntimeError if isinstance(theirs, RuntimeError) else type(theirs)
        kinds = Exception if "complex" in what else kinds  # two faults, in another order
        assert isinstance(ours, kinds), f"{what}: {ours!r} instead of {theirs!r}"
        return 0
    assert (str(ours.dtype), tuple(ours.shape)) == (str(theirs.dtype), tuple(theirs.shape)), what
    found = peer.tensor(ours.detach().tolist(), dtype=theirs.dtype)
    peer.testing.assert_close(
        found, theirs.detach(), rtol=rtol, atol=rtol, equal_nan=True, msg=lambda m: f"{what}: {m}"
    )
    return 1


def random_case(chance, peer, name, forms):
    """A call of both libraries' function ``name``: ``(ours, theirs, its inputs, words)``."""
    shape = chance.choice(SHAPES)
    dtype = chance.choice(DTYPES) if chance.random() < 0.5 else "float64"
    data = peer.randn(shape) * 3
    data = data > 0 if dtype == "bool" else data.abs() if dtype == "uint8" else data
    theirs = data.to(getattr(peer, dtype))
    # A tensor of the same elements in the same dtype.
    ours = torch.tensor(theirs.tolist(), dtype=getattr(torch, dtype)).reshape(shape)
    params, words = dict(chance.choice(forms)), [shape, dtype]
    if name in ONE_DIM:
        params["dim"] = chance.randrange(-max(len(shape), 1), max(len(shape), 1))
        if name.startswith("arg") and chance.random() < 0.3:
            params["dim"] = None
    elif chance.random() < 0.8:
        count = chance.randint(0, len(shape))
        params["dim"] = tuple(chance.sample(range(len(shape)), count))
        if count == 1 and chance.random() < 0.5:
            params["dim"] = params["dim"][0] - len(shape)
    if chance.random() < 0.1 and dtype.startswith("float"):
        params["dim"] = 7  # there is no such dim
    if name not in NO_KEEPDIM and chance.random() < 0.5:
        params["keepdim"] = True
    if chance.random() < 0.3:
        params["dtype"] = chance.choice(["float32", "float64", "int64", "int8"])
    mask = None
    if chance.random() < 0.85:
        size = [1 if chance.random() < 0.2 else n for n in shape][chance.choice([0, 0, 1]) :]
        mask = (peer.rand(size) < chance.choice([0.2, 0.6, 1.0])).tolist()
        words.append(mask)
    words.append(dict(params))
    differs = dtype in ("float64", "float32") and "int" not in params.get("dtype", "")
    theirs.requires_grad_(differs)
    ours.requires_grad_(differs)

    def call(library, package, x):
        given = dict(params)
        if "dtype" in given:
            given["dtype"] = getattr(library, given["dtype"])
        if mask is not None:
            given["mask"] = library.tensor(mask, dtype=library.bool).reshape(size)
        return getattr(package, name)(x, **given)

    return (
        lambda: call(torch, masked, ours),
        lambda: call(peer, peer.masked, theirs),
        (ours, theirs),
        f"{name} {words}",
    )


@pytest.mark.parity
@pytest.mark.parametrize("name", [*REDUCTIONS, *ONE_DIM])
def test_functions_as_pytorch(name):
    peer = pytest.importorskip("torch")
    chance = random.Random(name)
    peer.manual_seed(7)
    compared = slopes = 0
    for _ in range(150):
        ours, theirs, inputs, what = random_case(
            chance, peer, name, {**REDUCTIONS, **ONE_DIM}[name]
        )
        wanted, found = outcome(theirs), outcome(ours)
        if skipped(what, wanted, found):
            continue
        half = "float16" in what
        rtol = 2e-2 if half else 2e-5 if "float32" in what or "complex" in what else 1e-9
        if "bool" in what or "int" in what:
            rtol = 1e-5
        compared += same(found, wanted, peer, rtol, what)
        if isinstance(wanted, Exception) or not wanted.requires_grad:
            continue
        g = peer.randn(wanted.shape, dtype=wanted.dtype)
        own = torch.tensor(g.tolist(), dtype=found.dtype).reshape(found.shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, of infinite gradients that meet
            wanted.backward(g)
            found.backward(own)
        if inputs[0].grad is None is inputs[1].grad:  # of the number of elements that are not 0
            continue
        slopes += same(inputs[0].grad, inputs[1].grad, peer, 2e-4 if "32" in what else 1e-8, what)
    assert compared > 60
    assert slopes > 20 or name.startswith("arg")


def skipped(what, wanted, found):
    """Whether a case shows a known difference of the unmasked functions."""
    if "cum" in what and "bool" in what and isinstance(wanted, NotImplementedError):
        return True  # PyTorch has no running sum in bool
    empty = not isinstance(wanted, Exception) and not wanted.numel()
    return (
        "soft" in what and empty and isinstance(found, NotImplementedError)
    )  # PyTorch then looks at no dtype


@pytest.mark.parity
def test_logaddexp_as_pytorch():
    peer = pytest.importorskip("torch")
    for _ in range(40):
        a, b, m, n = peer.randn(3, 4), peer.randn(3, 4), peer.rand(3, 4) < 0.5, peer.rand(4) < 0.5
        wanted = peer.masked.logaddexp(a, b, input_mask=m, other_mask=n)
        x, y, p, q = (torch.tensor(t.tolist()) for t in (a, b, m, n))
        same(masked.logaddexp(x, y, input_mask=p, other_mask=q), wanted, peer, 1e-5, "logaddexp")


CALLS = """
x + 1 | 1 + x | x * y | x - y | y / x | x // 2 | x % 2 | x ** 2 | -x | abs(x) | x < 2 | x == y | x >= y | x + p | p * x
x.exp() | torch.sin(x) | torch.sigmoid(x) | x.clamp(min=2) | x.clamp(1, 3) | x.nan_to_num() | torch.maximum(x, y)
torch.atan2(x, p) | x.sqrt().log1p() | x.remainder(y) | x.logaddexp(y) | x.sum() | x.sum(0) | x.sum(dim=(0, 1))
x.mean(1, keepdim=True) | torch.mean(x, 1) | x.amax(1) | x.amin(0, True) | x.prod() | x.prod(0) | x.argmax(1) | x.argmin()
x.var(1) | x.std() | (x > 1).all(1) | (x > 1).all() | x.sum(1, dtype=torch.float64) | x[0] | x[:, 1:] | x[0, 0]
x.t() | x.reshape(3, 2) | x.view(6) | x.flatten() | x.unsqueeze(1) | x.expand(2, 2, 3) | torch.cat([x, y], 1)
torch.stack([x, y]) | torch.split(x, 1)[1] | x.transpose(0, 1) | x.to(torch.float64) | x.double() | x.int() | x.clone()
x.softmax(1) | torch.ones_like(x) | torch.where(c, x, y) | torch.where(c, x, p) | ~(x > 1) | x.detach() | x.contiguous()
x * 1000000 | (x * 100000)[0] | x.long() | x.bool() | x + z | x.logical_not() | x.max() | x @ x | x.cumsum(0) | x.add(1, alpha=2)
x.round(decimals=1) | x.item() | x.sum().item() | m[1].sum().item() | x.clamp(p) | x.zero_() | torch.relu(x) | x ** p
""".replace("\n", " | ").split(" | ")  # fmt: skip


def names(library, package):
    """What ``CALLS`` names: masked tensors x and y with one mask, z with another; plain p and c."""
    data = library.arange(6.0).reshape(2, 3)
    mask = library.tensor([[True, False, True], [False, False, True]])
    m = library.tensor([[True, False, True], [False, False, False]])
    return {
        "x": package.masked_tensor(data, mask), "y": package.masked_tensor(data + 1, mask),
        "z": package.masked_tensor(data, ~mask), "m": package.masked_tensor(data, m),
        "p": data + 2, "c": data > 3, "torch": library,
    }  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("call", [c for c in CALLS if c])
def test_masked_tensors_as_pytorch(call):
    peer = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = outcome(lambda: eval(call, names(peer, peer.masked)))
    ours = outcome(lambda: eval(call, names(torch, masked)))
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), (call, theirs)
        kind = RuntimeError if isinstance(theirs, RuntimeError) else type(theirs)
        assert isinstance(ours, kind), (call, ours, theirs)
        return
    assert repr(ours) == repr(theirs)
    if hasattr(theirs, "get_mask"):
        assert str(ours.dtype) == str(theirs.dtype)
        assert ours.get_mask().tolist() == theirs.get_mask().tolist()


@pytest.mark.parity
def test_every_unary_and_binary_function_as_pytorch():
    peer = pytest.importorskip("torch")
    compared = 0
    for name in [n + end for n in (*UNARY, *BINARY) for end in ("", "_")]:
        for dtype in ("float32", "int64"):
            found = []
            for library, package in ((peer, peer.masked), (torch, masked)):
                kind = getattr(library, dtype)
                mask = library.tensor([[True, False, True], [False, True, True]])
                data = library.tensor([[1, 2, 3], [3, 1, 2]], dtype=kind)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    x, y = (package.masked_tensor(data * n, mask) for n in (1, 2))
                others = (
                    [y] if name.rstrip("_") in BINARY else [2] if name in ("pow", "pow_") else []
                )
                others = [2, 3] if name.startswith("cl") else others
                found.append(
                    outcome(lambda x=x, name=name, others=others: getattr(x, name)(*others))
                )
            theirs, ours = found
            if isinstance(theirs, Exception):
                continue
            assert repr(ours) == repr(theirs), (name, dtype)
            compared += 1
    assert compared > 250


GRADIENTS = """
x.sum() | x.mean() | (x * y).sum() | (x * x).sum(1).sum() | x.exp().mean(0).sum() | (x / y).amax() | x.prod()
x.reshape(3, 2).sum(1).sum() | torch.cat([x, y]).sum() | x[0].sum() | (x * 2 + y).amin() | x.softmax(1).amax() | (-x).sum()
""".replace("\n", " | ").split(" | ")  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("call", [c for c in GRADIENTS if c])
def test_gradients_of_masked_tensors_as_pytorch(call):
    peer = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = []
        for library, package in ((peer, peer.masked), (torch, masked)):
            data = library.tensor([[1.0, 2.0, -1.5], [0.5, 3.0, 2.5]])
            mask = library.tensor([[True, False, True], [False, True, True]])
            x = package.masked_tensor(data, mask, requires_grad=True)
            y = package.masked_tensor(data + 3, mask, requires_grad=True)
            eval(call, {"x": x, "y": y, "torch": library}).backward()
            found.append([None if t.grad is None else t.grad.to_tensor(0).tolist() for t in (x, y)])
    for theirs, ours in zip(*found, strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            assert torch.tensor(ours).allclose(torch.tensor(theirs), atol=1e-5)


# Without PyTorch ----------------------------------------------------------------------------


def test_a_slice_without_elements_gives_the_identity():
    nothing = torch.zeros(2, dtype=torch.bool)
    for name, dtype, value in [
        ("sum", torch.int8, 0), ("prod", torch.int32, 1), ("amax", torch.int8, -128),
        ("amin", torch.uint8, 255), ("amax", torch.float32, -float("inf")), ("norm", torch.float32, 0),
        ("logsumexp", torch.float32, -float("inf")),
    ]:  # fmt: skip
        found = getattr(masked, name)(torch.ones(2, dtype=dtype), mask=nothing)
        assert found.item() == value, name
    for name in ("mean", "var", "std", "median"):
        assert getattr(masked, name)(torch.ones(2), 0, mask=nothing).isnan()


def test_the_gradient_of_a_masked_out_element_is_zero_even_beside_nan():
    x = torch.tensor([1.0, float("nan"), 0.0], requires_grad=True)
    masked.sum(x, mask=torch.tensor([True, False, True])).backward()
    assert x.grad.tolist() == [1, 0, 1]


def test_a_plain_operand_gets_no_gradient_from_masked_out_elements():
    w = torch.ones(3, requires_grad=True)
    x = masked.masked_tensor(
        torch.tensor([2.0, float("nan"), 3.0]), torch.tensor([True, False, True])
    )
    (x * w).sum().backward()
    assert w.grad.tolist() == [2, 0, 3]


def test_as_masked_tensor_keeps_the_history():
    x = torch.tensor([1.0, 0.0], requires_grad=True)
    masked.as_masked_tensor(x * 2, torch.tensor([True, False])).log().sum().backward()
    assert x.grad.tolist() == [1, 0]


def test_writes_keep_the_mask():
    x = masked.masked_tensor(X, MASK)
    same_object = x
    x += 1
    x.mul_(2).exp2_()
    assert x is same_object
    assert x.to_tensor(0).tolist() == [[4, 0, 64], [0, 0, 0]]
    assert X[0, 0] == 0  # the data was copied
    leaf = masked.masked_tensor(X, MASK, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        leaf.exp_()


def test_no_masked_tensor_is_a_view_of_another():
    x = masked.masked_tensor(X, MASK)
    for part in (x[0], x.t(), x.T, x.detach(), torch.split(x, 1)[0], x.clone()):
        part.add_(1)
        part.get_mask().logical_not_()
    assert x.to_tensor(0).tolist() == [[0, 0, 2], [0, 0, 0]]
    x.get_data().add_(1)  # the data itself
    assert x.to_tensor(0).tolist() == [[1, 0, 3], [0, 0, 0]]


def test_printing():
    assert repr(masked.masked_tensor(X, MASK)) == (
        "MaskedTensor(\n  [\n    [  0.0000,       --,   2.0000],\n"
        "    [      --,       --,       --]\n  ]\n)"
    )
    assert (
        repr(masked.masked_tensor(torch.tensor(1), torch.tensor(False)))
        == "MaskedTensor(--, False)"
    )


@pytest.mark.parametrize(
    "data, mask, kind",
    [
        ([1.0], MASK, TypeError), (X, None, TypeError), (X, X, TypeError),
        (X.bfloat16(), MASK, TypeError), (X, MASK[0], ValueError), (X, MASK[:, :2], ValueError),
    ],
)  # fmt: skip
def test_what_makes_no_masked_tensor(data, mask, kind):
    with pytest.raises(kind):
        masked.masked_tensor(data, mask)


def test_masks_that_differ_and_unknown_functions_are_refused():
    x = masked.masked_tensor(X, MASK)
    with pytest.raises(ValueError, match="masks must match"):
        x + masked.masked_tensor(X, ~MASK)
    for call in (
        lambda: x.cumsum(0),
        lambda: torch.cumsum(x, 0),
        lambda: x @ x,
        lambda: x.tolist(),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(IndexError, match="dims"):
        masked.sum(X, mask=MASK[None])


def test_a_masked_tensor_brings_its_own_mask():
    x = masked.masked_tensor(X, MASK, requires_grad=True)
    found = masked.mean(x)
    assert found.item() == 1
    found.backward()
    assert x.grad.to_tensor(0).tolist() == [[0.5, 0, 0.5], [0, 0, 0]]


def test_data_that_requires_grad_is_warned_of():
    with pytest.warns(UserWarning, match="not recommended"):
        masked.masked_tensor(torch.ones(1, requires_grad=True), torch.tensor([True]))


def test_prod_over_an_empty_list_of_dims_reduces_nothing():
    assert masked.prod(X + 1, dim=[], mask=MASK).tolist() == [[1, 1, 3], [1, 1, 1]]
    assert masked.prod(X + 1, dim=(), mask=MASK).item() == 3
