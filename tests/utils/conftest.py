"""What the tests of data loading share: one scenario run under rushlight and under PyTorch."""

import gc
import multiprocessing
import warnings
from collections.abc import Mapping, MutableSequence

import pytest

import rushlight


def plain(value, package):
    """``value`` with its tensors as (dtype, elements), so that two packages compare."""
    if isinstance(value, package.Tensor):
        return "tensor", str(value.dtype).rpartition(".")[2], value.tolist()
    if isinstance(value, Mapping):
        return type(value).__name__, {key: plain(item, package) for key, item in value.items()}
    if isinstance(value, (tuple, MutableSequence)):
        return type(value).__name__, [plain(item, package) for item in value]
    return value


def outcome(scenario, package):
    """What a scenario gives: value or type of error, warnings, and where it leaves the seed."""
    package.manual_seed(5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = plain(scenario(package), package)
        except Exception as error:
            result = next(t for t in type(error).__mro__ if t.__module__ == "builtins")
    told = [w.category for w in caught if w.category is not DeprecationWarning]
    return result, told, package.rand(2).tolist()


@pytest.fixture
def agree():
    """A function that runs a scenario under both packages and demands one outcome."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    def check(scenario):
        ours = outcome(scenario, rushlight)
        assert ours == outcome(scenario, torch)
        return ours[0]

    return check


@pytest.fixture
def no_process_is_left():
    yield
    gc.collect()
    assert multiprocessing.active_children() == []
