"""Machine code that tests make stays out of the user's cache."""

import atexit
import os
import shutil
import tempfile

if "RUSHLIGHT_CACHE_DIR" not in os.environ:  # where it is there, this is a worker of such a run
    folder = tempfile.mkdtemp(prefix="rushlight-tests-")
    os.environ["RUSHLIGHT_CACHE_DIR"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
