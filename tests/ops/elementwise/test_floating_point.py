"""frexp, ldexp, nextafter and heaviside: exact values, dtypes, out= and errors."""

import math
import warnings

import numpy as np
import pytest

import rushlight as torch

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_frexp_is_undone_by_ldexp(dtype):
    x = torch.tensor([0.0, -0.0, 1.0, -3.25, 1e-5, 6e4, INF, -INF], dtype=dtype)
    mantissa, exponent = torch.frexp(x)
    assert mantissa.dtype is dtype
    assert exponent.dtype is torch.int32
    assert torch.equal(torch.ldexp(mantissa, exponent), x)


def test_frexp_of_special_values():
    found = torch.frexp(torch.tensor([INF, -INF, NAN, 1e-42]))
    assert found.exponent.tolist() == [0, 0, 0, -139]
    assert repr(found.mantissa) == "tensor([   inf,   -inf,    nan, 0.6973])"


def test_frexp_refuses_other_dtypes():
    for dtype in (torch.int64, torch.bool, torch.complex64):
        with pytest.raises(RuntimeError, match="only supports floating-point dtypes"):
            torch.frexp(torch.ones(2, dtype=dtype))


def test_frexp_writes_into_two_tensors():
    out = torch.empty(2), torch.empty(2, dtype=torch.int32)
    found = torch.frexp(torch.tensor([3.0, 8.0]), out=out)
    assert found[0] is out[0]
    assert out[1].tolist() == [2, 4]
    with pytest.raises(RuntimeError, match="int32"):
        torch.frexp(torch.ones(2), out=(torch.empty(2), torch.empty(2, dtype=torch.int64)))


def test_ldexp_overflows_only_if_the_result_does():
    x = torch.tensor([1e-30, 1e30, 1.0, 1.0, 0.0])
    n = torch.tensor([200, -200, 2**40, -(2**40), 1000])
    small, large = x[:2].tolist()
    np.testing.assert_array_equal(
        torch.ldexp(x, n).numpy(),
        np.float32([small * 2.0**200, large * 2.0**-200, INF, 0, 0]),
    )


def test_ldexp_slope_is_exact_for_negative_exponents():
    x = torch.ones(2, requires_grad=True)
    torch.ldexp(x, torch.tensor([-3, 2])).sum().backward()
    assert x.grad.tolist() == [0.125, 4]


def test_ldexp_dtypes_and_errors():
    ones = lambda dtype: torch.ones(2, dtype=dtype)
    assert torch.ldexp(ones(torch.int64), ones(torch.int64)).dtype is torch.float32
    assert torch.ldexp(ones(torch.float16), ones(torch.int64)).dtype is torch.float16
    assert torch.ldexp(ones(torch.float32), ones(torch.float64)).dtype is torch.float64
    assert torch.ldexp(ones(torch.complex64), ones(torch.int64)).dtype is torch.complex64
    with pytest.raises(NotImplementedError):
        torch.ldexp(ones(torch.float32), ones(torch.bool))
    with pytest.raises(TypeError, match="'other' \\(position 2\\) must be Tensor"):
        torch.ldexp(ones(torch.float32), 2)
    with pytest.raises(RuntimeError, match="can't be cast"):
        ones(torch.int64).ldexp_(ones(torch.int64))
    with pytest.raises(RuntimeError, match="must match"):
        torch.ldexp(torch.ones(2), torch.ones(3, dtype=torch.int64))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_nextafter_moves_by_one_place(dtype):
    one, two = torch.ones(1, dtype=dtype), torch.full((1,), 2, dtype=dtype)
    assert (torch.nextafter(one, two) - one).item() == torch.finfo(dtype).eps
    assert torch.nextafter(one, one).item() == 1
    zero = torch.zeros(1, dtype=dtype)
    assert torch.nextafter(zero, one).item() == torch.finfo(dtype).smallest_normal * (
        torch.finfo(dtype).eps
    )
    assert torch.isnan(torch.nextafter(zero, zero / 0)).all()


def test_nextafter_promotes_floats_and_refuses_the_rest():
    wide = torch.nextafter(torch.ones(1), torch.full((1,), 2.0, dtype=torch.float64))
    assert wide.item() == 1 + 2**-52
    for dtype in (torch.int64, torch.bool, torch.complex64):
        with pytest.raises(NotImplementedError):
            torch.nextafter(torch.ones(1, dtype=dtype), torch.ones(1, dtype=dtype))
    with pytest.raises(TypeError):
        torch.nextafter(torch.ones(1), 2.0)


def test_heaviside_of_special_values_and_dtypes():
    x = torch.tensor([-INF, -1.0, -0.0, 0.0, INF, NAN])
    assert torch.heaviside(x, torch.tensor([0.5])).tolist() == [0, 0, 0.5, 0.5, 1, 0]
    assert torch.heaviside(torch.tensor([1, 0, -1]), torch.tensor([5])).tolist() == [1, 5, 0]
    assert torch.heaviside(input=torch.tensor([True]), values=torch.tensor([False])).tolist() == [
        True
    ]


def test_heaviside_errors():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="different dtypes"):
        torch.heaviside(x, torch.ones(2, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="complex"):
        torch.heaviside(torch.ones(2) * 1j, torch.ones(2) * 1j)
    with pytest.raises(TypeError):
        torch.heaviside(x, 0.5)
    with pytest.raises(RuntimeError):
        torch.heaviside(x.detach(), torch.ones(2), out=torch.empty(2, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="derivative for aten::heaviside is not implemented"):
        torch.heaviside(x, x).sum().backward()


@pytest.mark.parity
def test_values_equal_pytorchs():
    peer = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    a = (rng.standard_normal(500) * 10.0 ** rng.integers(-40, 38, 500)).astype("f4")
    b = rng.permutation(a)
    n = rng.integers(-300, 300, 500)
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        given = [
            [m.from_numpy(v).to(getattr(m, dtype)) for v in (a, b)] + [m.from_numpy(n)]
            for m in (torch, peer)
        ]
        for call in (
            lambda m, x, y, n: m.frexp(x)[0], lambda m, x, y, n: m.frexp(x)[1],
            lambda m, x, y, n: m.ldexp(x, n), lambda m, x, y, n: m.nextafter(x, y),
            lambda m, x, y, n: m.heaviside(x, y),
        ):  # fmt: skip
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found, want = call(torch, *given[0]), call(peer, *given[1])
            np.testing.assert_array_equal(found.double().numpy(), want.double().numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbours_of_many_numbers(dtype):
    """A kernel gives NumPy's bits."""
    info = np.finfo(dtype)
    edges = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, info.max, -info.max, info.tiny]
    edges += [info.smallest_subnormal, -info.smallest_subnormal]
    x, y = [v.ravel() for v in np.meshgrid(edges, edges)]
    rng = np.random.default_rng(0)
    x, y = [np.concatenate([v, rng.standard_normal(70000)]).astype(dtype) for v in (x, y)]
    found = torch.nextafter(torch.tensor(x), torch.tensor(y)).numpy()
    with np.errstate(all="ignore"):
        want = np.nextafter(x, y)
    np.testing.assert_array_equal(found, want)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(want))
