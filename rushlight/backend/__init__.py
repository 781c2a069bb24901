"""The computation of operations on arrays: NumPy, compiled kernels and threads.

This package is imported before NumPy, so that it can still configure NumPy's BLAS library and
the C library's heap.
"""

import os
import sys

from rushlight.backend.heap import keep_freed_memory

if "numpy" not in sys.modules:
    # After each product, OpenBLAS's threads poll for work for 2²⁶ cycles. Other programs and
    # threads cannot use these cores meanwhile. 2²⁰ cycles (a third of a millisecond) are enough to
    # poll from one layer's product to the next one's.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")

if "RUSHLIGHT_NUM_THREADS" in os.environ:
    from rushlight.threads import set_from_environment

    set_from_environment()

keep_freed_memory()
