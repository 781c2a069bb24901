"""Windows for signals: dtypes and what they refuse, as PyTorch does."""

import pytest

import rushlight as torch

OLD = ["hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window"]
NEW = torch.signal.windows.__all__


@pytest.mark.parametrize("name", OLD)
def test_dtypes(name):
    window = getattr(torch, name)
    assert window(4).dtype is torch.float32
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert window(4, dtype=dtype).dtype is dtype
    assert window(4, requires_grad=True).requires_grad


@pytest.mark.parametrize("name", OLD)
def test_refused(name):
    window = getattr(torch, name)
    with pytest.raises(RuntimeError, match="non-negative window_length"):
        window(-1)
    with pytest.raises(RuntimeError, match="floating point dtypes"):
        window(4, dtype=torch.int64)
    with pytest.raises(NotImplementedError):
        window(4, dtype=torch.complex64)
    for wrong in (2.0, "4", None):
        with pytest.raises(TypeError):
            window(wrong)
    with pytest.raises(TypeError):
        window(4, 1)


def _signal(name, M, **options):
    if name == "general_cosine":
        options.setdefault("a", [0.5, 0.5])
    return getattr(torch.signal.windows, name)(M, **options)


@pytest.mark.parametrize("name", NEW)
def test_signal_windows_refuse(name):
    with pytest.raises(ValueError, match="non-negative window length"):
        _signal(name, -1)
    with pytest.raises(ValueError, match="float32 or float64 dtypes"):
        _signal(name, 4, dtype=torch.float16)
    with pytest.raises(ValueError, match="strided tensors only"):
        _signal(name, 4, layout=None)
    with pytest.raises(TypeError):
        _signal(name, 2.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("exponential", {"center": 1.0}), ("exponential", {"tau": 0}), ("gaussian", {"std": 0}),
        ("kaiser", {"beta": -1}), ("general_cosine", {"a": []}),
    ],
)  # fmt: skip
def test_parameters_out_of_range(name, options):
    with pytest.raises(ValueError, match=r"must be|cannot be"):
        _signal(name, 4, **options)


@pytest.mark.parametrize("name", [n for n in NEW if n not in ("cosine", "exponential")])
def test_symmetric_windows_are_symmetric_and_periodic_ones_lack_the_last_element(name):
    whole = _signal(name, 9)
    assert torch.allclose(whole, whole.flip(0), atol=1e-6)
    if name != "gaussian":
        assert torch.allclose(_signal(name, 8, sym=False), whole[:-1], atol=1e-6)
