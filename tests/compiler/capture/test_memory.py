"""Programs see memory as eager mode does: writes through views, ``detach()`` and ``.data``."""

import itertools
import random

import numpy as np
import pytest

import rushlight as torch
from rushlight.tensor import from_array
from tests.daily import daily

DTYPES = [
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
]


@pytest.fixture(params=["native", "numpy"], autouse=True)
def compiler(request, monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", request.param)


def numbers(dtype, *shape):
    """A tensor of small numbers of any dtype."""
    x = (torch.arange(np.prod(shape, dtype=int)) * 7 % 5 - 2).reshape(shape)
    return (x * (1 + 2j)).to(dtype) if dtype.is_complex else x.to(dtype)


def copy_of(x):
    """A tensor that lies in memory of its own as ``x`` does."""
    base = x._array if x._array.base is None else x._array.base
    if base is x._array or not isinstance(base, np.ndarray):
        return from_array(x._array.copy(order="K"))
    first = x._array.ctypes.data - base.ctypes.data
    return from_array(np.ndarray(x.shape, x._array.dtype, base.copy(), first, x._array.strides))


def shared(tensors):
    """Which of the tensors share memory."""
    pairs = itertools.combinations(tensors, 2)
    return [np.shares_memory(a._array, b._array) for a, b in pairs]


def value(x):
    x = x.detach()
    return (x if x.dtype.is_complex else x.double()).numpy()


def alike(function, *args):
    """Assert that two compiled calls do what eager mode does to results and arguments."""
    compiled = torch.compile(function, fullgraph=True)
    given = [copy_of(x) for x in args]
    want = [*function(*given), *given]
    for _ in range(2):
        given = [copy_of(x) for x in args]
        found = [*compiled(*given), *given]
        for a, b in zip(found, want, strict=True):
            assert a.dtype is b.dtype
            np.testing.assert_allclose(value(a), value(b), 2e-3, 1e-5)
        assert shared(found) == shared(want)


# What was wrong -----------------------------------------------------------------------------


def complex_parts(z):
    w = z * 1
    w[0] = 0
    w.real.mul_(3)
    w.imag[:, 1] = 5
    torch.view_as_real(w)[2, :, 0] = 7
    z[:, 1] += 1j
    z.mul_(2)
    return w, z.real


def written_detached(x):
    y = x * 2
    y[1:].detach().mul_(3)
    y.data[0] = 9
    d = y.t().detach()
    d[0, 0] = -1
    return y + 0, y, d, y.sum()


def read_after_write(x):
    y = x * 2
    before, seen, v = y.clone(), y.detach(), y[1]
    y.mul_(2)
    return before, seen, v, v + 1, y.data.view(-1)


def two_views(x):
    y = x + 1
    y[:2].mul_(2)
    y[1:, 1:].add_(y[:-1, :-1])
    y.view(-1)[::2].zero_()
    y.t()[0].copy_(x[:, 1])
    return y, y[:2], y.diagonal()


def strided(x):
    y = x * 2
    v = y[1:, 2:]
    a = v.as_strided((2, 3), (1, 2))
    b = y.t().as_strided((3, 2), (2, 3), 1)
    b[0] = 100
    c = (x.t() * 1).as_strided((4,), (1,), 2)
    d = (x[:1] * 3).expand(4, 6).as_strided((3,), (1,))
    e = x.flip(0).as_strided((3,), (1,))
    return a, b, y, c, d, e, x.as_strided((2,), (5,), 3)


def moved(x):
    y = x * 2
    old = y[0]
    y.data = x * 3
    y.add_(1)
    z = x.detach()
    z.set_(y)
    z.t_()
    return y, old, z


def argument_moved(x):
    x.data = x.data * 2
    x.add_(1)
    return (x * 1,)


def masks(x):
    mask = x > 0
    mask[:, 0] = True
    mask[mask.sum(1) > 2] = False
    mask[0, torch.tensor([1, 2])] = True
    mask.fill_diagonal_(True)
    x[mask] = 1
    return mask, mask.view(torch.uint8)


def ordered(x):
    """Results go on to lie as the memory does, whatever is written to it."""
    y = torch.zeros_like(x.t())
    y.copy_(x.reshape(6, 4))
    return y, y.t().view(-1), torch.full_like(x.t(), 2).t().view(-1)


def rows_of_results(x):
    """One memory, whichever of its views comes first."""
    y = x * 2
    return y[0], y[1:], y


CASES = [
    written_detached, read_after_write, two_views, strided, moved, argument_moved, masks, ordered,
    rows_of_results,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_memory_is_as_in_eager_mode(case):
    alike(case, torch.arange(24.0).reshape(4, 6) % 7 - 3)
    if case not in (moved, argument_moved):
        alike(case, torch.ones(4, 6))


def test_writes_to_complex_tensors():
    alike(complex_parts, numbers(torch.complex64, 4, 6))
    alike(complex_parts, numbers(torch.complex64, 6, 4).t())
    alike(complex_parts, numbers(torch.complex64, 40, 60))


def test_the_rotary_embedding_of_llama():
    """A complex result and saved values above 4 KiB, forward and backward."""

    def embed(q, k, angles):
        turned = torch.polar(torch.ones_like(angles), angles)[None, :, None, :]
        pairs = [torch.view_as_complex(t.float().reshape(*t.shape[:-1], -1, 2)) for t in (q, k)]
        return [torch.view_as_real(z * turned).flatten(3).type_as(q) for z in pairs]

    def whole(q, k, angles):
        found = embed(q, k, angles)
        (found[0] * found[1].sin()).sum().backward()
        return found

    angles = torch.outer(torch.arange(16.0), 10000.0 ** (-torch.arange(0, 32.0) / 32))
    args = [torch.randn(2, 16, 4, 64) for _ in range(2)]

    def run(function, inside):
        q, k = [t.clone().requires_grad_() for t in args]
        found = function(q, k, angles)
        if not inside:
            (found[0] * found[1].sin()).sum().backward()
        return [*found, q.grad, k.grad]

    for function, inside in ((embed, False), (whole, True)):
        want = run(function, inside)
        compiled = torch.compile(function, fullgraph=True)
        for _ in range(2):
            for a, b in zip(run(compiled, inside), want, strict=True):
                np.testing.assert_allclose(value(a), value(b), 1e-4, 1e-4)
    (z,) = torch.compile(lambda x: (torch.complex(x, x + 1) * 2,))(torch.ones(64, 64))
    assert z[5, 5].item() == 2 + 4j


@pytest.mark.parametrize("look", [lambda y: y.numpy()[1:3], lambda y: y[1:3].detach().numpy()])
def test_a_view_of_a_large_result_keeps_its_memory(look):
    double = torch.compile(lambda x: x * 2)
    seen = look(double(torch.ones(5000)))
    for k in range(4):
        double(torch.full((5000,), float(k)))
    assert seen.tolist() == [2.0, 2.0]


def test_a_result_owns_its_storage():
    y = torch.compile(lambda x: x + 1)(torch.zeros(40, 40))
    assert y.storage_offset() == 0 and y.as_strided((2,), (1,), 3).tolist() == [1.0, 1.0]


def test_what_a_program_cannot_follow_runs_eagerly():
    whole = torch.arange(10.0)

    def beyond(x):
        return x.as_strided((3,), (1,), 0)

    with pytest.warns(UserWarning, match="as_strided looks at memory beyond"):
        found = torch.compile(beyond)(whole[4:8])
    assert found.tolist() == [0, 1, 2]

    def windows(x):
        y = x * 1
        y.unfold(0, 3, 1).mul_(torch.tensor([1.0, 2.0, 3.0]))
        return y

    with pytest.warns(UserWarning, match="elements that share memory are written"):
        torch.compile(windows)(whole)

    def swapped(x, y):
        x.data = y
        return x * 1

    x, y = torch.zeros(3), torch.ones(3)
    with pytest.warns(UserWarning, match=r"\.data of a tensor from outside"):
        torch.compile(swapped)(x, y)
    assert np.shares_memory(x.numpy(), y.numpy())


def test_an_argument_that_lies_elsewhere_in_its_storage():
    f = torch.compile(lambda x: x.as_strided((2,), (2,), 3))
    whole = torch.arange(20.0)
    for first in (3, 2, 3, 0):
        assert f(whole[first : first + 8]).tolist() == [3, 5]


# Searches -----------------------------------------------------------------------------------

#: How a tensor that is written looks at the memory of ``y``, a matrix.
LOOKS = {
    "itself": lambda y: y,
    "detached": lambda y: y.detach(),
    "data": lambda y: y.data,
    "rows": lambda y: y[1:],
    "rows, detached": lambda y: y[1:].detach(),
    "turned": lambda y: y.t(),
    "turned data": lambda y: y.t().data,
    "flat": lambda y: y.view(-1),
    "steps": lambda y: y[::2, 1::2],
    "one column": lambda y: y[:, 1:2].transpose(0, 1),
    "wider": lambda y: y[None].movedim(0, 2),
    "of storage": lambda y: y.as_strided((3, 2), (2, 1), 1),
    "view of detached view": lambda y: y.detach()[1:].t()[1:].data,
}
WRITES = {
    "add": lambda v: v.add_(v),
    "copy": lambda v: v.copy_(v.flip(0)),
    "number": lambda v: v.fill_(1),
    "first": lambda v: v.__setitem__(0, 1),
    "last": lambda v: v.__setitem__((..., -1), v[..., 0] + v[..., -1]),
    "list": lambda v: v.__setitem__(torch.tensor([0, -1]), 1),
    "mask": lambda v: v.__setitem__(v == 1, 0),
    "masked_fill": lambda v: v.masked_fill_(v != 1, 1),
    "index_fill": lambda v: v.index_fill_(0, torch.tensor([0]), 1),
    "index_copy": lambda v: v.index_copy_(0, torch.tensor([0]), v[-1:].clone()),
    "index_add": lambda v: v.index_add_(0, torch.tensor([0]), v[-1:].clone()),
    "scatter": lambda v: v.scatter_(0, torch.zeros(v.shape, dtype=torch.int64)[:1], 1),
    "put": lambda v: v.index_put_((torch.tensor([0]),), v[-1].clone(), accumulate=True),
    "zero": lambda v: v[:1].zero_(),
    "out": lambda v: torch.mul(v, v, out=v),
}


@pytest.mark.parametrize("dtype", daily(DTYPES, 3, "writes"))
@pytest.mark.parametrize("argument", [False, True])
def test_every_write_through_every_look(dtype, argument):
    """Programs of three writes each, drawn anew for each dtype."""
    x = numbers(getattr(torch, dtype), 4, 6)
    drawn = random.Random(dtype)
    for look in drawn.sample([*LOOKS.values()], 4):
        writes = drawn.sample([*WRITES.values()], 3)
        other = drawn.choice([*LOOKS.values()])

        def program(x, look=look, writes=writes, other=other):
            y = x if argument else x.clone()
            first, v, w = other(y), look(y), y.flatten()[2:]
            for write in writes:
                write(v)
            return y, v, first, first == w.sum(), w

        alike(program, x)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"])
def test_scans_along_dims_of_one_element(name):
    for shape in ((1, 4, 3), (4, 1, 3), (3, 4, 1)):
        for order in ((2, 0, 1), (1, 2, 0)):

            def scans(x, order=order):
                y = (x * 2).permute(order)
                found = [getattr(y + k, name)(k) for k in range(3)]
                found = [f if isinstance(f, torch.Tensor) else f[0] for f in found]
                return *found, *[f.exp() + x.sum() for f in found]

            alike(scans, torch.linspace(-1, 1, 12).reshape(shape))


@pytest.mark.parametrize("seed", range(6))
def test_as_strided_of_anything(seed):
    drawn = random.Random(seed)

    def program(x, look, size, stride, start):
        y = look(x * 1)
        v = y.as_strided(size, stride, start)
        v[0] = 50
        return v, y

    for _ in range(3):
        look = drawn.choice([f for n, f in LOOKS.items() if n != "of storage"])
        stride = [(1,), (3,), (5, 1), (1, 4), (7, 2), (2, 9)][drawn.randrange(6)]
        size = [drawn.randint(1, 2) for _ in stride]
        start = drawn.choice([None, 0, 1, 3])
        alike(lambda x, look=look, size=size, stride=stride, start=start:
              program(x, look, size, stride, start), torch.arange(24.0).reshape(4, 6))  # fmt: skip


def test_a_view_of_windows_that_numpy_looks_at():
    """Windows of complex numbers: their elements share memory also where they are looked at."""
    x = torch.arange(8.0).reshape(4, 2).to(torch.complex64)

    def rows(x):
        return x.unfold(0, 3, 1).reshape(4, 1, 3) * 2

    assert torch.compile(rows)(x).tolist() == rows(x).tolist()


def test_strides_of_dims_of_size_1():
    """They decide how what is computed from a result lies, compiled as in eager mode."""
    x = torch.zeros(6).as_strided((1, 3, 1, 2), (12, 1, 1, 3))

    def steps(x):
        y = x * 2
        return y, torch.stack([y, y], -2), y.stride()

    want = steps(x)
    found = torch.compile(steps)(x)
    assert want[2] == found[2] == (6, 1, 1, 3)
    assert [t.stride() for t in found[:2]] == [t.stride() for t in want[:2]]


def test_a_view_of_the_storage_behind_a_view_of_an_argument_with_an_offset():
    def written(x, y):
        found = x[None].as_strided((3,), (2,), 4)
        x.copy_(y)
        return found

    results = []
    for f in (written, torch.compile(written)):
        x = torch.arange(12.0).as_strided((2, 5), (1, 2), 1).detach()
        results.append(f(x, torch.arange(10.0).reshape(2, 5)).tolist())
    assert results[0] == results[1]


def test_a_view_from_outside_that_gets_other_memory():
    base = torch.arange(6.0)
    view = base[::2]
    double = torch.compile(lambda x: x * view, options={"audit": False})
    x = torch.ones(3)
    assert [double(x).tolist() for _ in range(2)] == [[0, 2, 4]] * 2
    base.add_(1)
    assert double(x).tolist() == [1, 3, 5]
    view.data = torch.full((3,), 4.0)
    assert double(x).tolist() == [4, 4, 4]
    view.data = base[1:4]
    assert double(x).tolist() == [2, 3, 4]
