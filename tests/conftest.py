"""Machine code that tests make stays out of the user's cache; interrupts reach what they start."""

import atexit
import gc
import importlib.util
import os
import shutil
import signal
import tempfile

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # left so by a shell, for what it put aside
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "RUSHLIGHT_CACHE_DIR" not in os.environ:  # where it is there, this is a worker of such a run
    folder = tempfile.mkdtemp(prefix="rushlight-tests-")
    os.environ["RUSHLIGHT_CACHE_DIR"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def pytest_collection_modifyitems(config, items):
    """Without PyTorch, leave out what compares with it: to skip 8,000 tests one by one takes long."""
    if importlib.util.find_spec("torch") is None:
        parity = [item for item in items if item.get_closest_marker("parity")]
        config.hook.pytest_deselected(items=parity)
        items[:] = [item for item in items if not item.get_closest_marker("parity")]


def pytest_collection_finish():
    """Ten thousand tests are no garbage: to look through them at each collection took a fifth.

    They are not frozen, since a recording is slow where the program itself freezes objects.
    """
    gc.collect()
    gc.set_threshold(20_000, 20, 20)


#: What a thread may have as a reason for operations to leave the fast path, unless it is None.
REASONS = "recorder", "anomaly", "profiler", "packing", "autocast"


@pytest.fixture(autouse=True)
def counts_of_modes():
    """After each test the counts that operations look at are those of the modes that are on."""
    yield
    from rushlight.autograd import mode

    state = mode.state
    assert state.reasons == sum(getattr(state, name) is not None for name in REASONS)
    assert state.counted == (not state.grad or state.inference)
    assert mode.intercept >= state.reasons
    assert mode.grad_off >= state.counted
