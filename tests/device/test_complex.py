"""Complex numbers on devices: kernels compute with their two parts, and no host is needed."""

import warnings

import numpy as np
import pytest

import rushlight as T
from rushlight.ops.core import remote_calls
from tests.device.cases import Cases

F = T.nn.functional
CASES = Cases()


@CASES.add
def arithmetic(x, y, r):
    yield from (x + y, x - 2, 2j * x, x * y, x / y, r / x, x * r, -x, x**2, x**-3, 1 / x, x / 2j)
    yield from (x == y, x != x, x + r, x.conj() * y, T.lerp(x, y, 0.3), x.addcmul(x, y, value=2j))


@CASES.add
def functions(x, y, r):
    for name in (
        "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan",
        "asinh", "acosh", "atanh", "sigmoid", "log2", "log10", "log1p", "expm1", "sgn", "sinc",
        "rsqrt", "exp2", "reciprocal", "abs", "angle", "isnan", "isfinite", "isreal", "logical_not",
    ):  # fmt: skip
        yield getattr(T, name)(x)
    yield from (x**y, x**0.5, 2**x, F.silu(x), T.isclose(x, x + 1e-9))


@CASES.add
def parts(x, y, r):
    yield from (T.complex(r, r * 2), T.polar(r.abs(), r), T.view_as_real(x) * 2, x.real, x.imag)
    yield from (T.view_as_complex(T.view_as_real(x) * 3), r.to(T.complex64), x.to(T.float32))
    yield from (x.to(T.complex128) * 2, x.to(T.bool))


@CASES.add
def moved(x, y, r):
    yield from (x.T + 1, x.flip(0), x.roll(1, 1), T.cat([x, y]), T.stack([x, y], 1), x[[2, 0]])
    yield from (x.gather(1, T.zeros(4, 2, dtype=T.int64, device=x.device)), x.tril(), x[:, 1:3] * 2)
    yield from (T.where(r > 0, x, y), x.masked_fill(r > 0, 1 + 2j), F.pad(x, (1, 2), value=3))
    yield from (x.repeat(2, 1), T.full_like(x, 1 + 2j) + x, x.unfold(1, 2, 1) * 2, x[r > 0])
    yield from (x.nonzero(), x.take(T.tensor([3, 1], device=x.device)))
    yield F.pad(x, (1, 1), mode="reflect")


@CASES.add
def sums(x, y, r):
    yield from (x.sum(), x.sum(0), x.mean(1), x.cumsum(1), x.var(1), x.norm(), r.sum(dtype=x.dtype))
    yield from (x.all(), x.any(1), T.trace(x))


@CASES.add
def products(x, y, r):
    yield from (x @ y.T, x.expand(3, 4, 5) @ y.mH, T.einsum("ij,kj->ik", x, y), T.vdot(x[0], y[1]))
    yield from (F.linear(x, y, y[:, 0]), T.outer(x[0], y[0]), T.addmm(x @ x.T, x, y.T, beta=1j))
    yield F.conv1d(x[None], y[:3, :4, None].expand(3, 4, 2), y[0, :3], padding=1)


@CASES.add
def writes(x, y, r):
    z = x * 1
    z[1] = y[0]
    z[:, 2] *= 2j
    z[0] = 3 - 1j
    z[z.real > 1] = 0
    z.add_(1j).mul_(y)
    z.index_add_(0, T.tensor([1, 3], device=x.device), y[:2])
    z[2] = r[0]
    yield z
    yield x.scatter_add(0, T.zeros(1, 5, dtype=T.int64, device=x.device), y)


@CASES.add
def transforms(x, y, r):
    yield from (
        T.fft.fft(x),
        T.fft.ifft(x, norm="ortho"),
        T.fft.fft2(x, norm="forward"),
        T.fft.fft(r),
    )
    yield from (T.fft.rfft(r), T.fft.irfft(x), T.fft.irfft(x, 7), T.fft.rfftn(r), T.fft.irfft2(x))
    yield from (T.fft.hfft(x), T.fft.ihfft(r), T.fft.fftshift(x), T.fft.ifft2(x, s=(3, 7)))
    spectra = T.stft(r.flatten(), 8, window=T.hann_window(8).to(r.device), return_complex=True)
    yield from (spectra, T.istft(spectra * 1, 8, window=T.ones(8, device=r.device), length=16))


def _given(d):
    T.manual_seed(3)
    made = [T.randn(4, 5, dtype=T.complex64), T.randn(4, 5, dtype=T.complex64), T.randn(4, 5)]
    return [t.to(d).requires_grad_() for t in made]


def _run(name, d, compiled=False):
    """The results of a case, and the gradients of what it was given."""
    given, case = _given(d), lambda *ts: tuple(CASES[name](*ts))
    found = (T.compile(case, fullgraph=True) if compiled else case)(*given)
    total = sum(T.view_as_real(t).cos().sum().cpu() if t.is_complex() else t.double().cos().sum().cpu()
                for t in found if t.requires_grad)  # fmt: skip
    total.backward()
    return [t.detach().cpu() for t in found] + [t.grad.cpu() for t in given if t.grad is not None]


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_as_on_the_cpu(name, compiled, device, monkeypatch):
    if compiled and name in ("moved", "writes"):
        pytest.skip("masks give shapes that depend on values")
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want, got = _run(name, "cpu"), _run(name, device, compiled)
    for g, w in zip(got, want, strict=True):
        T.testing.assert_close(g, w, rtol=2e-4, atol=2e-5, equal_nan=True)


def test_a_chain(device, monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    f = lambda x: ((x * (2 - 1j)).exp() / x).conj().sum().abs()
    x = T.tensor([1 + 2j, -0.5j, 3.0])
    for call in (f, T.compile(f, fullgraph=True)):
        T.testing.assert_close(call(x.to(device)).cpu(), f(x))


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 31, 37, 64, 96, 131, 210, 1009, 1024])
def test_transforms_of_any_size(n):
    """Products of small matrices, of two factors, and chirps for large primes."""
    if not T.opencl.is_available():
        pytest.skip("no OpenCL device")
    x = T.randn(2, n, dtype=T.complex64)
    want = np.fft.fft(x.numpy().astype(np.complex128))
    before = remote_calls.fallbacks.copy()
    got = T.fft.fft(x.to("opencl"))
    assert np.abs(got.cpu().numpy() - want).max() < 2e-6 * np.abs(want).max()
    back = T.fft.ifft(got)
    T.testing.assert_close(back.cpu(), x, rtol=1e-5, atol=1e-5)
    real = T.fft.irfft(T.fft.rfft(x.real.to("opencl")), n)
    T.testing.assert_close(real.cpu(), x.real.contiguous(), rtol=1e-5, atol=1e-5)
    assert remote_calls.fallbacks == before


@pytest.mark.slow
def test_factors_of_complex_matrices_are_the_hosts():
    """A lowering for real matrices does not serve complex ones: the host computes the whole."""
    if not T.opencl.is_available():
        pytest.skip("no OpenCL device")
    x = T.randn(3, 3, dtype=T.complex64)
    x = x @ x.mH + T.eye(3)
    far = x.to("opencl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for f in (
            T.linalg.cholesky,
            T.linalg.inv,
            T.linalg.det,
            T.linalg.svdvals,
            T.linalg.matrix_exp,
        ):
            T.testing.assert_close(f(far).cpu(), f(x), rtol=1e-4, atol=1e-4)
            T.testing.assert_close(T.compile(f)(far).cpu(), f(x), rtol=1e-4, atol=1e-4)
        tall, b = T.randn(4, 2, dtype=T.complex64), T.randn(4, 3, dtype=T.complex64)
        near, got = T.linalg.lstsq(tall, b), T.linalg.lstsq(tall.to("opencl"), b.to("opencl"))
        T.testing.assert_close(got.solution.cpu(), near.solution, rtol=1e-4, atol=1e-4)
        T.testing.assert_close(got.residuals.cpu(), near.residuals, rtol=1e-4, atol=1e-4)
