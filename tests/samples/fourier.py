"""Samples of Fourier transforms, short-time transforms and windows."""

import numpy as np

from tests.samples.sample import floats, ints, sample

# A table: one sample a line.
# fmt: off


def complexes(*shape, seed=0):
    """Complex numbers whose parts lie between -2 and 2."""
    return (floats(*shape, seed=seed) + 1j * floats(*shape, seed=seed + 1)).astype(np.complex64)


def _parts(t, y):
    """Real and imaginary parts, as real numbers that have gradients by differences."""
    return (y.real * 1, y.imag * 1) if y.dtype.is_complex else y


#: Name of a transform → the kernel that it is made of for real input.
_KERNELS = {"fft": "fft_r2c", "ifft": "fft_r2c", "rfft": "fft_r2c", "ihfft": "fft_r2c", "irfft": "fft_c2r", "hfft": "fft_c2r"}
_ONE = [((8,), {}), ((5,), {"norm": "ortho"}), ((3, 4), {"dim": 0}), ((2, 3, 4), {"n": 7, "dim": 1, "norm": "forward"}),
        ((3, 6), {"n": 4, "norm": "backward"}), ((4, 2), {"n": 1}), ((3, 5), {"n": 6, "dim": -2})]
_MANY = [((3, 4), {}), ((2, 3, 5), {"norm": "ortho"}), ((2, 3, 4), {"dim": (0, 2), "norm": "forward"}),
         ((3, 4), {"s": (4, 3)}), ((2, 3, 4), {"s": (-1, 5), "dim": (1, 0)})]
_ALL = [((4,), {}), ((2, 3, 4), {}), ((3, 4), {"s": (5,)}), ((2, 3, 4), {"dim": (2, 0, 1), "s": (3, 2, -1)})]
for _name, _op in _KERNELS.items():
    for _ending, _cases in [("", _ONE), ("2", _MANY), ("n", _ALL)]:
        for _shape, _options in _cases:
            sample(_op, lambda t, x, n=_name + _ending, o=_options: _parts(t, getattr(t.fft, n)(x, **o)), floats(*_shape))
    if _op == "fft_c2r" or _name in ("fft", "ifft"):
        _op = "fft_c2c" if _op == "fft_r2c" else _op
        for _shape, _options in _ONE[:4]:
            sample(_op, lambda t, x, y, n=_name, o=_options: _parts(t, getattr(t.fft, n)(t.complex(x, y), **o)),
                   floats(*_shape), floats(*_shape, seed=1))
        sample(_op, lambda t, x, n=_name: getattr(t.fft, n + "n")(x, dim=(0, 1)), complexes(3, 4, 2), second=False)
    sample(_op, lambda t, x, n=_name: getattr(t.fft, n)(x), floats(4, 3, t=True)[:, ::2], second=False)
    sample(_op, lambda t, x, n=_name: getattr(t.fft, n)(x), ints(2, 6))
sample("fft_c2c", lambda t, x: t.fft.fftn(x), floats(), second=False)
sample("fft_c2c", lambda t, x: t.fft.fft2(x, dim=()), floats(2, 3), second=False)
for _name in ["fftshift", "ifftshift"]:
    for _shape, _dim in [((5,), None), ((3, 4), None), ((3, 4), 1), ((2, 3, 4), (0, 2)), ((4, 3), (-1,))]:
        sample(_name, lambda t, x, n=_name, d=_dim: getattr(t.fft, n)(x, dim=d), floats(*_shape), dtypes=("float64", "float16"))
for _name in ["fftfreq", "rfftfreq"]:
    for _n, _d in [(4, 1.0), (5, 0.5), (1, 2.0), (8, 1 / 44100), (9, 1)]:
        sample(_name, lambda t, n=_name, k=_n, d=_d: getattr(t.fft, n)(k, d))
    sample(_name, lambda t, n=_name: getattr(t.fft, n)(6, d=0.1, dtype=t.float64))

# Windows ----------------------------------------------------------------------------------

for _name in ["hann", "hamming", "blackman", "bartlett", "kaiser"]:
    for _n, _periodic in [(8, True), (9, False), (1, True), (0, False), (5, True)]:
        sample(f"{_name}_window", lambda t, f=f"{_name}_window", n=_n, p=_periodic: getattr(t, f)(n, p))
    sample(f"{_name}_window", lambda t, f=f"{_name}_window": getattr(t, f)(7, dtype=t.float64))
sample("hamming_window", lambda t: t.hamming_window(6, False, 0.3, 0.6))
sample("kaiser_window", lambda t: t.kaiser_window(6, True, 3.0))
_OWN = {"general_cosine": {"a": [0.4, 0.3, 0.2, 0.1]}}
for _name in ["bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming",
              "hamming", "hann", "kaiser", "nuttall"]:
    for _n, _options in [(8, {}), (9, {"sym": False}), (1, {}), (0, {})]:
        sample(_name, lambda t, f=_name, n=_n, o=_options: getattr(t.signal.windows, f)(n, **o, **_OWN.get(f, {})))
    sample(_name, lambda t, f=_name: getattr(t.signal.windows, f)(5, dtype=t.float64, **_OWN.get(f, {})))
for _name, _options in [("exponential", {"center": 1.5, "tau": 2.0, "sym": False}), ("gaussian", {"std": 3.0}),
                        ("general_hamming", {"alpha": 0.7}), ("kaiser", {"beta": 2.0})]:
    sample(_name, lambda t, f=_name, o=_options: getattr(t.signal.windows, f)(6, **o))

# Short-time transforms --------------------------------------------------------------------

_STFT = [((16,), 4, {}), ((2, 20), 8, {"hop_length": 3}), ((15,), 5, {"hop_length": 2, "center": False}),
         ((2, 12), 6, {"hop_length": 2, "win_length": 4, "normalized": True}), ((12,), 4, {"onesided": False}),
         ((14,), 4, {"pad_mode": "constant"}), ((14,), 4, {"pad_mode": "replicate"}), ((14,), 4, {"pad_mode": "circular"}),
         ((13,), 6, {"hop_length": 2, "win_length": 4, "center": False, "align_to_window": True})]
for _shape, _n, _options in _STFT:
    _length = _options.get("win_length", _n)
    sample("stft", lambda t, x, w, n=_n, o=_options: _parts(t, t.stft(x, n, window=w, return_complex=True, **o)),
           floats(*_shape), floats(_length, low=0.2, high=1))
sample("stft", lambda t, x, y, w: _parts(t, t.complex(x, y).stft(4, window=w)), floats(12), floats(12, seed=1), floats(4, low=0.2, high=1))
_ISTFT = [((3, 6), 4, {}), ((2, 5, 4), 8, {"hop_length": 3}), ((3, 5), 5, {"hop_length": 2, "center": False}),
          ((4, 5), 6, {"hop_length": 2, "win_length": 4, "normalized": True}), ((4, 6), 4, {"onesided": False}),
          ((3, 6), 4, {"length": 3}), ((2, 4, 5), 4, {"return_complex": True})]
for _shape, _n, _options in _ISTFT:
    _length = _options.get("win_length", _n)
    sample("istft", lambda t, x, y, w, n=_n, o=_options: _parts(t, t.istft(t.complex(x, y), n, window=w, **o)),
           floats(*_shape), floats(*_shape, seed=1), floats(_length, low=0.4, high=1), tolerance=5e-5)
for _shape, _dim, _size, _step in [((7,), 0, 3, 1), ((7, 2), 0, 3, 2), ((2, 8), 1, 2, 3), ((3, 6), -1, 6, 4), ((), 0, 1, 1)]:
    sample("overlap_add", lambda t, x, d=_dim, n=_size, s=_step: x.unfold(d, n, s), floats(*_shape))
