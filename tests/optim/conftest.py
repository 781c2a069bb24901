"""One script run under rushlight and under PyTorch, and what it returns compared."""

import builtins
import warnings

import numpy as np
import pytest

import rushlight


def plain(value):
    """``value`` without its library: arrays for tensors, text for what else is the library's."""
    if hasattr(value, "detach"):
        return np.array(value.detach().numpy())
    if isinstance(value, dict):
        return {key if isinstance(key, int) else str(key): plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str, complex)):
        return value
    return str(value)


def outcome(script, torch):
    """What ``script(torch)`` gives: its result or its error's built-in type, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad")  # given once
        try:
            result = plain(script(torch))
        except Exception as error:
            kinds = [k.__name__ for k in type(error).__mro__ if hasattr(builtins, k.__name__)]
            result = f"raises {kinds[0]}"
    return result, [w.category.__name__ for w in caught]


def assert_same(ours, theirs, rtol, path="result"):
    """Assert that two plain values agree: arrays within ``rtol`` of their largest, else exactly."""
    if isinstance(theirs, np.ndarray):
        assert isinstance(ours, np.ndarray), f"{path}: {ours} is no tensor"
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), path
        scale = float(np.abs(theirs).max(initial=0))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=rtol * scale, err_msg=path)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), path
        for key in theirs:
            assert_same(ours[key], theirs[key], rtol, f"{path}[{key!r}]")
    elif isinstance(theirs, list):
        assert isinstance(ours, list) and len(ours) == len(theirs), f"{path}: {ours} != {theirs}"
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_same(*pair, rtol, f"{path}[{i}]")
    else:
        assert ours == theirs or (ours != ours and theirs != theirs), f"{path}: {ours} != {theirs}"


@pytest.fixture
def parity():
    """``parity(script)``: ``script(torch)`` does the same under PyTorch and under rushlight."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def check(script, rtol=0.0, raises=False):
        theirs = outcome(script, torch)
        assert (isinstance(theirs[0], str) and "raises" in theirs[0]) is raises, theirs
        assert_same(list(outcome(script, rushlight)), list(theirs), rtol)

    yield check
    torch.set_num_threads(threads)
