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
        assert isinstance(ours, dict) and list(ours) == list(theirs), path
        for key in theirs:
            same(ours[key], theirs[key], rtol, atol, f"{path}[{key!r}]")
    elif isinstance(theirs, list):
        assert isinstance(ours, list), path
        assert len(ours) == len(theirs), path
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            same(*pair, rtol, atol, f"{path}[{i}]")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=rtol, abs=atol, nan_ok=True), path
    else:
        assert ours == theirs, path


def outcome(script, torch):
    """What ``script(torch)`` returns or raises, and the types of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, about overflow
        warnings.filterwarnings("ignore", ".*oneDNN")  # PyTorch's, that it takes another way
        torch.manual_seed(0)
        try:
            result = plain(script(torch))
        except Exception as error:
            result = error
    return result, sorted({w.category.__name__ for w in caught})


def builtin_name(error):
    """The name of the builtin type that an error is of."""
    return next(k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins")


@pytest.fixture
def parity():
    """``parity(script)``: the script does the same under PyTorch and under rushlight."""
    torch = pytest.importorskip("torch")

    def check(script, **tolerance):
        (ours, our_warnings), (theirs, their_warnings) = (
            outcome(script, library) for library in (rushlight, torch)
        )
        if isinstance(theirs, Exception):
            assert isinstance(ours, Exception), f"PyTorch raises {theirs!r}"
            assert builtin_name(ours) == builtin_name(theirs), f"{ours!r} for {theirs!r}"
        elif isinstance(ours, Exception):
            raise ours
        else:
            same(ours, theirs, **tolerance)
        assert our_warnings == their_warnings

    return check
