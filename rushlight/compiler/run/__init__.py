"""Programs that run: machine code and its cache, threads, and NumPy where there is no kernel.

``program.py`` makes a program of what was recorded, on NumPy or as a ``native_program.py``, whose
code ``assembly.py`` puts together, ``loader.py`` loads and ``cache.py`` keeps on disk, with the
``manifest.py`` of what a run needs to know besides. ``numpy_call.py`` computes an operation without
a kernel between two stretches of machine code. ``eager_kernels.py``, ``operation_program.py`` and
``row_functions.py`` make kernels of single operations for eager mode. ``threads.py`` is the pool of
native threads; ``denormals.py``, ``bounds_report.py`` and ``gc_pause.py`` surround a run.
"""
