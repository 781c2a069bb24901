"""The short-time Fourier transform: what it refuses, and what it says, as PyTorch does."""

import warnings

import pytest

import rushlight as torch

WINDOW = torch.hann_window(8)


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


def _spectrum(t, **options):
    return t.stft(t.arange(20.0), 8, window=t.hann_window(8), return_complex=True, **options)


REFUSED = {
    "no return_complex": lambda t: t.stft(t.ones(20), 8, window=t.ones(8)),
    "three dims": lambda t: t.stft(t.ones(1, 2, 20), 8, return_complex=True, window=t.ones(8)),
    "no dims": lambda t: t.stft(t.tensor(1.0), 8, return_complex=True),
    "integers": lambda t: t.stft(t.ones(20).long(), 8, return_complex=True),
    "n_fft = 0": lambda t: t.stft(t.ones(20), 0, return_complex=True),
    "a long n_fft": lambda t: t.stft(t.ones(20), 40, center=False, return_complex=True),
    "more padding than signal": lambda t: t.stft(t.ones(4), 8, return_complex=True),
    "hop_length = 0": lambda t: t.stft(t.ones(20), 8, 0, return_complex=True),
    "a long window": lambda t: t.stft(t.ones(20), 8, win_length=9, return_complex=True),
    "another window": lambda t: t.stft(t.ones(20), 8, window=t.ones(7), return_complex=True),
    "two dims of a window": lambda t: t.stft(
        t.ones(20), 8, window=t.ones(1, 8), return_complex=True
    ),
    "onesided and complex": lambda t: t.stft(
        t.ones(20, dtype=t.complex64), 8, window=t.ones(8), onesided=True
    ),
    "aligned and centered": lambda t: _spectrum(t, align_to_window=True),
    "a padding": lambda t: _spectrum(t, pad_mode="other"),
    "a float": lambda t: t.stft(t.ones(20), 8.0, return_complex=True),
    "a list": lambda t: t.istft([1.0], 8),
    "real numbers back": lambda t: t.istft(t.ones(5, 3), 8),
    "one dim back": lambda t: t.istft(t.ones(5, dtype=t.complex64), 8),
    "four dims back": lambda t: t.istft(t.ones(1, 1, 5, 3, dtype=t.complex64), 8),
    "no frames back": lambda t: t.istft(t.ones(5, 0, dtype=t.complex64), 8),
    "other frequencies": lambda t: t.istft(_spectrum(t), 10),
    "a long hop": lambda t: t.istft(_spectrum(t), 8, 9),
    "another window back": lambda t: t.istft(_spectrum(t), 8, window=t.ones(7)),
    "a complex window": lambda t: t.istft(
        _spectrum(t), 8, window=t.ones(8, dtype=t.complex64)
    ),
    "complex and onesided": lambda t: t.istft(_spectrum(t), 8, return_complex=True),
    "uncovered": lambda t: t.istft(_spectrum(t), 8, window=t.hann_window(8), center=False),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, peer):
    with pytest.raises(Exception) as theirs:
        REFUSED[case](peer)
    with pytest.raises(theirs.type):
        REFUSED[case](torch)


def test_pairs_of_real_numbers():
    whole = torch.stft(torch.arange(20.0), 8, window=WINDOW, return_complex=True)
    pairs = torch.stft(torch.arange(20.0), 8, window=WINDOW, return_complex=False)
    assert torch.equal(pairs, torch.view_as_real(whole))


@pytest.mark.parametrize("hop", [1, 2, 4])
@pytest.mark.parametrize("n", [19, 20])
def test_back_again(hop, n):
    x = torch.randn(2, n, dtype=torch.float64)
    window = torch.hann_window(8, dtype=torch.float64)
    y = x.stft(8, hop, window=window, return_complex=True)
    assert torch.allclose(y.istft(8, hop, window=window, length=n), x)


def test_a_longer_signal_ends_in_zeros():
    y = _spectrum(torch)
    with pytest.warns(UserWarning, match="shorter than the length parameter"):
        found = torch.istft(y, 8, window=WINDOW, length=30)
    assert found.shape == (30,)
    assert found[-4:].tolist() == [0, 0, 0, 0]


def test_a_window_of_another_dtype_decides():
    assert _spectrum(torch).dtype is torch.complex64
    wide = torch.stft(torch.ones(20), 8, window=WINDOW.double(), return_complex=True)
    assert wide.dtype is torch.complex128
    half = torch.stft(torch.ones(20).half(), 8, window=WINDOW, return_complex=True)
    assert half.dtype is torch.complex64


def test_compiled_inverse_checks_the_window():
    compiled = torch.compile(lambda y, w: torch.istft(y, 8, window=w))
    y = _spectrum(torch)
    assert torch.allclose(compiled(y, WINDOW), torch.arange(20.0), atol=1e-4)
    with pytest.raises(RuntimeError, match="window overlap add min"):
        compiled(y, WINDOW * 0)


def test_no_window_warns():
    from rushlight.ops.fft import stft

    stft._warn_of_no_window.cache_clear()
    with pytest.warns(UserWarning, match="A window was not provided"):
        torch.stft(torch.ones(20), 8, return_complex=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.stft(torch.ones(20), 8, return_complex=True)
