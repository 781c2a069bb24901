"""What all tests share: a cache of machine code, bytecode, collections of garbage, modes."""

import atexit
import gc
import importlib.util
import os
import shutil
import signal
import sys
import tempfile

import pytest

from tests.daily import DAY, DRAW, SHARE, rested, unshared

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # left so by a shell, for what it put aside
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "RUSHLIGHT_CACHE_DIR" not in os.environ:  # where it is there, this is a worker of such a run
    folder = tempfile.mkdtemp(prefix="rushlight-tests-")
    os.environ["RUSHLIGHT_CACHE_DIR"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None) and not sys.pycache_prefix:
        # A process that a test starts would compile the package anew, which takes most of its time.
        os.environ["PYTHONPYCACHEPREFIX"] = os.path.join(folder, "bytecode")

if os.environ.get("RUSHLIGHT_TESTS_AS_TORCH"):  # everything public has PyTorch's names
    from tests.renamed import rename_all

    rename_all()


def pytest_configure(config):
    """Note for the workers whether this is a run of everything, with no path or option to choose."""
    chosen = config.option.keyword or config.getoption("lf", False)
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen
    if whole and "not slow" in config.option.markexpr:
        os.environ.setdefault("RUSHLIGHT_TESTS_WHOLE", "yes")


def pytest_collection_modifyitems(config, items):
    """Leave out what cannot run here, and most cases of tests that have many.

    Without PyTorch, all that compares with it is left out: to skip 8,000 tests takes long.
    """
    left_out = set()
    if os.environ.get("RUSHLIGHT_TESTS_AS_TORCH") or importlib.util.find_spec("torch") is None:
        left_out = {item for item in items if item.get_closest_marker("parity")}
    if os.environ.get("RUSHLIGHT_TESTS_WHOLE"):
        left_out |= rested([item for item in items if item not in left_out])
    elif SHARE > 1:
        left_out |= unshared([item for item in items if item not in left_out])
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish():
    """Ten thousand tests are no garbage: to look through them at each collection took a fifth."""
    _freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True, scope="module")
def no_garbage():
    """What outlives a module of tests is no garbage either, such as machine code and its programs."""
    yield
    _freeze()


def _freeze():
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """Tell how to run the same part of the long lists again, if a test failed."""
    if terminalreporter.stats.get("failed"):
        same = (
            f"RUSHLIGHT_TESTS_DAY={DAY} RUSHLIGHT_TESTS_DRAW={DRAW} RUSHLIGHT_TESTS_SHARE={SHARE}"
        )
        terminalreporter.line(f"{same} draws the same cases again")


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


@pytest.fixture
def nothing_intercepts(monkeypatch):
    """Operations take the fast path, whatever classes and tensors other tests left alive."""
    from rushlight.autograd import mode

    gc.collect()
    for name in ("intercept", "metas", "besides_memory"):
        monkeypatch.setattr(mode, name, 0)


@pytest.fixture
def nobody_overrides():
    """No class takes functions over, whatever classes other tests left alive."""
    from rushlight.autograd import mode

    gc.collect()
    others = mode._shared
    mode.add_intercept(-others)
    yield
    mode.add_intercept(others)
