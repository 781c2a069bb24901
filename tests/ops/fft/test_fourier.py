"""Fourier transforms: dtypes, what they refuse, ``out=``, and compiled, as PyTorch does."""

import numpy as np
import pytest

import rushlight as torch

ONE = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
OF_REAL = ["rfft", "ihfft"]
TO_REAL = ["irfft", "hfft"]


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("name", [n + ending for n in ONE for ending in ("", "2", "n")])
@pytest.mark.parametrize(
    ("dtype", "real"),
    [("float32", "float32"), ("float64", "float64"), ("int64", "float32"), ("bool", "float32")],
)
def test_the_result_keeps_the_precision(name, dtype, real):
    found = getattr(torch.fft, name)(torch.ones(4, 4, dtype=getattr(torch, dtype)))
    kind = getattr(torch, real)
    assert found.dtype is (kind if name.rstrip("2n") in TO_REAL else kind.to_complex())


REFUSED = {
    "half": lambda t, f: f(t.ones(3, 4, dtype=t.float16)),
    "bfloat16": lambda t, f: f(t.ones(3, 4, dtype=t.bfloat16)),
    "a 0-dim tensor": lambda t, f: f(t.tensor(1.0)),
    "no elements": lambda t, f: f(t.ones(3, 0)),
    "n = 0": lambda t, f: f(t.ones(3, 4), 0),
    "n = -1": lambda t, f: f(t.ones(3, 4), -1),
    "a float n": lambda t, f: f(t.ones(3, 4), 2.0),
    "a dim": lambda t, f: f(t.ones(3, 4), dim=2),
    "two dims": lambda t, f: f(t.ones(3, 4), dim=(0, 1)),
    "a norm": lambda t, f: f(t.ones(3, 4), norm="both"),
    "no name as norm": lambda t, f: f(t.ones(3, 4), norm=2),
    "an int64 out": lambda t, f: f(t.ones(3, 4), out=t.empty(0, dtype=t.int64)),
    "a list": lambda t, f: f([1.0, 2.0]),
}
REFUSED_SHAPES = {
    "the same dim": lambda t, f: f(t.ones(3, 4), dim=(0, -2)),
    "a dim": lambda t, f: f(t.ones(3, 4), dim=(0, 2)),
    "another number of sizes": lambda t, f: f(t.ones(3, 4), s=(2, 2), dim=(0,)),
    "too many sizes": lambda t, f: f(t.ones(3, 4), s=(2, 2, 2)),
    "a size of 0": lambda t, f: f(t.ones(3, 4), s=(0, 2)),
    "a size of -2": lambda t, f: f(t.ones(3, 4), s=(-2, 2)),
    "a norm": lambda t, f: f(t.ones(3, 4), norm="both"),
}


def _same_error(peer, call, name):
    with pytest.raises(Exception) as theirs:
        call(peer, getattr(peer.fft, name))
    with pytest.raises(theirs.type):
        call(torch, getattr(torch.fft, name))


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("case", REFUSED)
def test_refused(name, case, peer):
    _same_error(peer, REFUSED[case], name)


@pytest.mark.parametrize("name", [n + "n" for n in ONE])
@pytest.mark.parametrize("case", REFUSED_SHAPES)
def test_shapes_refused(name, case, peer):
    _same_error(peer, REFUSED_SHAPES[case], name)


@pytest.mark.parametrize("name", OF_REAL)
def test_transforms_of_real_numbers_refuse_complex_ones(name):
    with pytest.raises(RuntimeError, match="expects a real input tensor"):
        getattr(torch.fft, name)(torch.ones(4, dtype=torch.complex64))


@pytest.mark.parametrize("name", [n + "n" for n in [*OF_REAL, *TO_REAL]])
def test_halves_need_a_dim(name):
    with pytest.raises(RuntimeError, match="must transform at least one axis"):
        getattr(torch.fft, name)(torch.ones(4), dim=())


def test_without_dims_the_numbers_become_complex():
    found = torch.fft.fftn(torch.ones(2, dtype=torch.float64), dim=())
    assert found.dtype is torch.complex128
    assert found.tolist() == [1, 1]


def test_an_empty_batch_gives_an_empty_result():
    assert torch.fft.rfft(torch.ones(0, 4)).shape == (0, 3)
    assert torch.fft.irfft(torch.ones(0, 3, dtype=torch.complex64)).shape == (0, 4)


def test_out_may_have_a_higher_precision():
    x = torch.ones(4)
    for dtype in (torch.complex64, torch.complex128):
        out = torch.empty(0, dtype=dtype)
        assert torch.fft.fft(x, out=out) is out
        assert out.tolist() == [4, 0, 0, 0]
    with pytest.raises(RuntimeError, match="complex output tensor"):
        torch.fft.fft(x, out=torch.empty(4))
    with pytest.raises(RuntimeError, match="floating point output tensor"):
        torch.fft.irfft(x, out=torch.empty(4, dtype=torch.complex64))
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        torch.fft.fft(torch.ones(4, requires_grad=True), out=out)


def test_autocast_computes_in_float32():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.fft.fft(torch.ones(4, dtype=torch.bfloat16)).dtype is torch.complex64


def test_the_result_of_ifft_can_be_written():
    y = torch.fft.ifft(torch.ones(4))
    y[0] = 5
    assert y.tolist() == [5, 0, 0, 0]


@pytest.mark.parametrize("n", [1, 2, 7, 8])
@pytest.mark.parametrize("norm", ["backward", "forward", "ortho"])
def test_inverses(n, norm):
    x = torch.randn(3, n, dtype=torch.float64)
    f = torch.fft
    assert torch.allclose(f.ifft(f.fft(x, norm=norm), norm=norm).real, x)
    assert torch.allclose(f.irfft(f.rfft(x, norm=norm), n, norm=norm), x)
    assert torch.allclose(f.hfft(f.ihfft(x, norm=norm), n, norm=norm), x)
    assert torch.allclose(f.irfft2(f.rfft2(x, norm=norm), s=(3, n), norm=norm), x)


def test_parts_that_real_transforms_ignore_have_no_gradient():
    y = torch.ones(3, dtype=torch.complex128, requires_grad=True)
    torch.fft.irfft(y, 4).sum().backward()
    assert y.grad.imag.tolist() == [0, 0, 0]


def test_a_node_is_named_as_in_pytorch():
    x = torch.ones(4, requires_grad=True)
    names = [type(f(x).grad_fn).__name__ for f in (torch.fft.rfft, torch.fft.irfft)]
    assert names == ["FftR2CBackward0", "FftC2RBackward0"]


def test_compiled_convolution():
    def convolve(x, w):
        return torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(w, x.shape[-1]), x.shape[-1])

    x, w = torch.randn(2, 9), torch.randn(3)
    compiled = torch.compile(convolve)
    for _ in range(2):
        assert torch.allclose(compiled(x, w), convolve(x, w), atol=1e-5)


def test_frequencies_refuse_integers_and_another_out():
    for f in (torch.fft.fftfreq, torch.fft.rfftfreq):
        with pytest.raises(RuntimeError, match="floating point or complex dtype"):
            f(4, dtype=torch.int64)
        with pytest.raises(RuntimeError, match="does not match dtype of out"):
            f(4, out=torch.empty(0, dtype=torch.float64), dtype=torch.float32)
        out = torch.empty(0, dtype=torch.float64)
        assert f(4, d=0.5, out=out) is out
        assert np.isnan(f(4, d=0.0)[0].item())
        assert f(4, requires_grad=True).requires_grad
    with pytest.raises(RuntimeError):
        torch.fft.fftfreq(-1)


@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
def test_shifts_need_dims_that_exist(name):
    shift = getattr(torch.fft, name)
    with pytest.raises(RuntimeError, match="`shifts` required"):
        shift(torch.tensor(1.0))
    with pytest.raises(IndexError):
        shift(torch.ones(3), dim=1)
    assert shift(torch.ones(0, 3)).shape == (0, 3)
    assert shift(torch.tensor([True, False, False])).dtype is torch.bool
