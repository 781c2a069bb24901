"""Running one script under both libraries and comparing what it returns."""

import warnings

import numpy as np
import pytest

import rushlight


def plain(value):
    """``value`` without its library: arrays for tensors, type names for errors."""
    if hasattr(value, "detach"):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def same(ours, theirs, rtol=1e-6, atol=1e-7, path="result"):
    """Assert that two plain values agree, numbers closely and all else exactly."""
    if isinstance(theirs, np.ndarray):
        assert isinstance(ours, np.ndarray), path
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), path
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol, err_msg=path)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), path
        for key in theirs:
            same(ours[key], theirs[key], rtol, atol, f"{path}[{key!r}]")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), f"{path}: {ours} {theirs}"
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            same(*pair, rtol, atol, f"{path}[{i}]")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=rtol, abs=atol, nan_ok=True), path
    else:
        assert ours == theirs, path


def outcome(script, torch):
    """What ``script(torch)`` returns, or the type that it raises, and its warnings' types."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.manual_seed(0)
        try:
            result = plain(script(torch))
        except Exception as error:
            names = [kind.__name__ for kind in type(error).__mro__]
            builtin = [name for name in names if hasattr(__import__("builtins"), name)]
            result = f"raises {builtin[0]}"
    return [result, sorted({w.category.__name__ for w in caught})]


@pytest.fixture
def parity():
    """``parity(script)``: the script does the same under PyTorch and under rushlight."""
    torch = pytest.importorskip("torch")

    def check(script, **tolerance):
        same(outcome(script, rushlight), outcome(script, torch), **tolerance)

    return check
