"""Machine code that tests make stays out of the user's cache; interrupts reach what they start."""

import atexit
import gc
import os
import shutil
import signal
import tempfile

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # left so by a shell, for what it put aside
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "RUSHLIGHT_CACHE_DIR" not in os.environ:  # where it is there, this is a worker of such a run
    folder = tempfile.mkdtemp(prefix="rushlight-tests-")
    os.environ["RUSHLIGHT_CACHE_DIR"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def pytest_collection_finish():
    """Ten thousand tests are no garbage: to look through them at each collection took a fifth.

    They are not frozen, since a recording is slow where the program itself freezes objects.
    """
    gc.collect()
    gc.set_threshold(20_000, 20, 20)
