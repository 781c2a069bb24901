"""What runs an operation on arrays, one module a device. Imported before NumPy is."""

import os
import sys

if "numpy" not in sys.modules:
    # OpenBLAS's threads poll for work for 2²⁶ cycles after each product, and whatever else could
    # use their cores waits. 2²⁰ (a third of a millisecond) still spans from one layer to the next.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")

if "RUSHLIGHT_NUM_THREADS" in os.environ:
    from rushlight.threads import set_from_environment

    set_from_environment()
