"""Draws that rushlight and PyTorch are both asked for: (method, dtype, count, parameters)."""

import ml_dtypes
import numpy as np

from rushlight import draw
from rushlight.dtype import DTYPES
from rushlight.strides import fill

SEED = 2**40 + 11
NUMPY = {d.name: d.numpy for d in DTYPES}
FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
UNSIGNED = ("uint16", "uint32", "uint64")
CLOSE = {"normal_", "log_normal_", "cauchy_", "exponential_"}  # the others are equal bit for bit


def _cases():
    for d in (*FLOATS, "complex64", "complex128"):
        for count in (1, 7, 15, 16, 17, 40, 300):
            yield "normal_", d, count, (0.0, 1.0)
        yield "normal_", d, 33, (-2.5, 0.3)
        for bounds in ((0.0, 1.0), (-0.1, 0.7)):
            yield "uniform_", d, 60, bounds
    for d in FLOATS:
        yield "exponential_", d, 40, (1.5,)
        yield "log_normal_", d, 9, (0.2, 0.7)
        yield "cauchy_", d, 20, (0.5, 2.0)
        yield "multinomial", d, (9,), (1, False)
        yield "multinomial", d, (4, 9), (3, True)
        yield "multinomial", d, (3, 90), (70, False)
        yield "poisson", d, 30, ()
        yield "bernoulli", d, 30, ()
    for d in ("float32", "float64"):
        yield "_standard_gamma", d, (60,), ()
        yield "_standard_gamma", d, (7,), ()  # few are drawn one by one
        yield "_sample_dirichlet", d, (20, 3), ()
        yield "binomial", d, (200,), ()
    for d in (*FLOATS, *INTEGERS):
        yield "geometric_", d, 20, (0.2,)
        yield "randperm", d, 100, ()
    for d in ("bool", *FLOATS, *INTEGERS):
        yield "random_", d, 20, ()
        yield "bernoulli_", d, 50, (0.3,)
    for d in (*FLOATS, *INTEGERS, *UNSIGNED):
        yield "random_", d, 20, (3, 100)
    yield "random_", "bool", 20, (0, 2)
    for bounds in ((0, 2**28 - 1), (0, 2**28), (-(2**63), 2**63 - 1), (7, None), (-(2**63), None)):
        yield "random_", "int64", 20, bounds
    yield "random_", "float32", 20, (-(2**24), 2**24 - 5)
    yield "randperm", "int64", 700, ()
    yield "uniform_", "float32", 3000, (-0.05, 0.05)
    yield "normal_", "float32", 3001, (0.0, 1.0)


CASES = list(_cases())


def name(case):
    method, dtype, count, parameters = case
    return f"{method}-{dtype}-{count}-{parameters}".replace(" ", "")


def weights(shape, dtype):
    """Weights or probabilities in [0, 1], some of them equal and some 0."""
    n = int(np.prod(shape))
    return ((np.arange(n) * 7919 % 13) / 13).astype(dtype).reshape(shape)


def rates(count, dtype):
    return (np.arange(count) * 0.75).astype(dtype)


def positive(shape, dtype):
    """Parameters of gamma and Dirichlet numbers, from 0 to 200."""
    n = int(np.prod(shape))
    return (np.arange(n) ** 2 % 41 / 20.0 * (np.arange(n) % 4) ** 4).astype(dtype).reshape(shape)


def trials(shape, dtype):
    """Numbers of trials from 0 to 5000, and probabilities from below 0 to above 1."""
    n = np.arange(int(np.prod(shape)))
    return (
        (n % 7 * 10 ** (n % 4) // 1.2).astype(dtype).reshape(shape),
        (n * 31 % 103 / 100 - 0.01).astype(dtype).reshape(shape),
    )


def ours(case, generator):
    """What rushlight draws, as an array."""
    method, dtype, count, parameters = case
    d = NUMPY[dtype]
    if method == "multinomial":
        return draw.multinomial(generator, weights(count, d), *parameters)
    if method == "poisson":
        return draw.poisson(generator, rates(count, d))
    if method == "_standard_gamma":
        return draw.gamma(generator, positive(count, d))
    if method == "_sample_dirichlet":
        return draw.dirichlet(generator, positive(count, d) + d.type(0.3))
    if method == "binomial":
        return draw.binomial(generator, *trials(count, d))
    if method == "bernoulli":
        return draw.bernoulli_like(generator, np.empty(count, d), weights(count, d))
    if method == "random_":
        return (draw.integers if parameters else draw.full_range)(generator, count, d, *parameters)
    function = draw.permutation if method == "randperm" else getattr(draw, method.rstrip("_"))
    return function(generator, count, d, *parameters)


def ours_in(out, method, parameters, generator):
    """Fill an array of any strides, as the in-place methods do."""
    if method == "normal_":
        parameters = (*parameters, out.flags.c_contiguous)
    if method == "random_" and not parameters:
        return fill(out, draw.full_range(generator, out.size, out.dtype))
    function = draw.integers if method == "random_" else getattr(draw, method.rstrip("_"))
    return fill(out, function(generator, out.size, out.dtype, *parameters))


def theirs(case, generator):
    """What PyTorch draws, as an array."""
    import torch

    method, dtype, count, parameters = case
    d = getattr(torch, dtype)
    if method in ("multinomial", "poisson", "bernoulli"):
        given = rates(count, "f8") if method == "poisson" else weights(count, "f8")
        given = to_torch(given.astype(NUMPY[dtype]))
        return to_numpy(getattr(torch, method)(given, *parameters, generator=generator))
    if method in ("_standard_gamma", "_sample_dirichlet"):
        given = positive(count, dtype) + (method == "_sample_dirichlet") * NUMPY[dtype].type(0.3)
        return to_numpy(getattr(torch, method)(to_torch(given), generator=generator))
    if method == "binomial":
        given = map(to_torch, trials(count, dtype))
        return to_numpy(torch.binomial(*given, generator=generator))
    if method == "randperm":
        return to_numpy(torch.randperm(count, dtype=d, generator=generator))
    x = torch.empty(count, dtype=d)
    return to_numpy(getattr(x, method)(*parameters, generator=generator))


def to_torch(array):
    import torch

    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor):
    import torch

    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def check(method, got, wanted):
    """Equal bit for bit, or to 1e-6 where a logarithm or a sine is taken."""
    assert got.dtype == wanted.dtype
    assert got.shape == wanted.shape
    if method not in CLOSE:
        np.testing.assert_array_equal(got, wanted)
    elif got.dtype.itemsize == 2:
        # float32 numbers 1e-6 apart round to the same number, or around a tie to neighbours.
        x, y = got.astype(float), wanted.astype(float)
        apart = got != wanted
        ulp = np.spacing(np.abs(wanted[apart])).astype(float)
        assert (np.abs(x[apart] - y[apart]) <= ulp + 1e-6).all()
        assert np.count_nonzero(apart) <= 2 + got.size // 100
    else:
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
