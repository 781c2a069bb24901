"""Bessel functions and orthogonal polynomials: precise values, degrees, dtypes and errors."""

import math

import numpy as np
import pytest

import rushlight as torch

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [  # from tables in Abramowitz and Stegun 1964
        ("airy_ai", -2.0, 0.22740742820168557),
        ("bessel_j0", 10.0, -0.24593576445134834),
        ("bessel_j1", 10.0, 0.04347274616886144),
        ("bessel_y0", 10.0, 0.05567116728359939),
        ("bessel_y1", 10.0, 0.24901542420695386),
        ("modified_bessel_i0", 2.0, 2.2795853023360673),
        ("modified_bessel_i1", 2.0, 1.5906368546373291),
        ("modified_bessel_k0", 2.0, 0.11389387274953344),
        ("modified_bessel_k1", 2.0, 0.13986588181652243),
        ("scaled_modified_bessel_k0", 2.0, 0.8415682150707714),
        ("scaled_modified_bessel_k1", 2.0, 1.0334768470686887),
        ("spherical_bessel_j0", 2.0, 0.45464871341284085),
    ],
)
def test_values_are_precise_in_float64(name, x, value):
    found = getattr(torch.special, name)(torch.tensor(x, dtype=torch.float64)).item()
    assert math.isclose(found, value, rel_tol=1e-14)


@pytest.mark.parametrize(
    ("name", "at_zero", "at_inf"),
    [
        ("airy_ai", 0.3550280538878172, NAN), ("bessel_j0", 1, NAN), ("bessel_j1", 0, NAN),
        ("bessel_y0", -INF, NAN), ("bessel_y1", -INF, NAN), ("modified_bessel_i0", 1, NAN),
        ("modified_bessel_k1", INF, 0), ("scaled_modified_bessel_k0", INF, 0),
        ("spherical_bessel_j0", 1, 0),
    ],
)  # fmt: skip
def test_ends_of_the_domain(name, at_zero, at_inf):
    found = getattr(torch.special, name)(torch.tensor([0.0, INF, NAN], dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), [at_zero, at_inf, NAN])


def test_the_airy_function_of_a_very_large_number_is_zero():
    assert torch.special.airy_ai(torch.tensor([1e300], dtype=torch.float64)).item() == 0


def test_the_airy_function_far_to_the_left_is_a_wave():
    """SciPy gives nan there."""
    x = torch.tensor([-1e7, -1e8, -2.0], dtype=torch.float64)
    want = [0.0054185054895, -0.0055540906684, 0.2274074282017]
    np.testing.assert_allclose(torch.special.airy_ai(x).numpy(), want, rtol=1e-8)


def test_the_airy_function_of_many_numbers():
    """A kernel computes float32, and SciPy the others."""
    x = np.concatenate([np.linspace(-60, 20, 20000), [0, 200, 1e30, INF, -INF, NAN]]).astype("f4")
    found = torch.special.airy_ai(torch.tensor(x))
    want = torch.special.airy_ai(torch.tensor(x).double())
    assert found.dtype is torch.float32
    size = np.where(x < -1, np.maximum(np.abs(x), 1) ** -0.25, np.abs(want.numpy()))
    difference = found.double() - want
    assert (difference.nan_to_num().abs().numpy() <= 2e-7 * np.nan_to_num(size) + 1e-37).all()
    np.testing.assert_array_equal(found.isnan().numpy(), want.isnan().numpy())


def test_there_is_no_gradient_as_in_pytorch():
    x = torch.ones(3, requires_grad=True)
    assert not torch.special.bessel_j0(x).requires_grad
    assert not torch.special.hermite_polynomial_h(x, 2).requires_grad
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.special.airy_ai(x).sum().backward()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.complex64])
def test_refused_dtypes(dtype):
    x = torch.ones(2, dtype=dtype)
    for call in (torch.special.bessel_j1, lambda x: torch.special.legendre_polynomial_p(x, 2)):
        with pytest.raises(NotImplementedError, match="not implemented for"):
            call(x)


def test_wrong_arguments_of_polynomials():
    with pytest.raises(TypeError, match="must be Tensor"):
        torch.special.chebyshev_polynomial_t(0.5, 2)
    with pytest.raises(NotImplementedError):
        torch.special.chebyshev_polynomial_t(torch.ones(2), 2j)
    with pytest.raises(RuntimeError, match="broadcast"):
        torch.special.laguerre_polynomial_l(torch.ones(2), torch.ones(3))


def test_out_takes_other_dtypes_but_integers():
    x, out = torch.ones(2), torch.empty(2, dtype=torch.float64)
    assert torch.special.bessel_j0(x, out=out) is out
    assert torch.special.chebyshev_polynomial_u(x, n=3, out=out).tolist() == [4, 4]
    with pytest.raises(RuntimeError, match="can't be cast"):
        torch.special.hermite_polynomial_he(x, 2, out=torch.empty(2, dtype=torch.int64))


def test_degrees_are_rounded_towards_zero_and_what_is_no_degree_gives_zero():
    n = torch.tensor([-1.0, -0.5, 0.9, 1.7, NAN, INF, -INF])
    found = torch.special.hermite_polynomial_h(torch.tensor(0.5), n)
    assert found.tolist() == [0, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("kind", ["t", "u", "v", "w"])
def test_chebyshev_polynomials_of_high_degree(kind):
    """A composition rule, T_mn = T_m(T_n), and its like tell the values at high degrees."""
    f = getattr(torch.special, f"chebyshev_polynomial_{kind}")
    shifted = getattr(torch.special, f"shifted_chebyshev_polynomial_{kind}")
    x = torch.linspace(-0.99, 0.99, 50, dtype=torch.float64)
    n = 1000
    by_recurrence = 2 * x * f(x, n - 1) - f(x, n - 2)
    np.testing.assert_allclose(f(x, n).numpy(), by_recurrence.numpy(), atol=1e-10)
    np.testing.assert_allclose(shifted((x + 1) / 2, n).numpy(), f(x, n).numpy(), atol=1e-9)


def test_chebyshev_polynomials_at_the_ends_are_exact():
    x = torch.tensor([-1.0, 1.0])
    values = {"t": [-1, 1], "u": [-100, 100], "v": [-199, 1], "w": [-1, 199]}
    for kind, value in values.items():
        assert getattr(torch.special, f"chebyshev_polynomial_{kind}")(x, 99).tolist() == value
