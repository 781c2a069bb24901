"""Programs that run: machine code and its cache, threads, and NumPy where there is no kernel.

``program.py`` makes a program from a recording: a list of NumPy calls, or machine code
(``native_program.py``). ``assembly.py`` generates this code, ``loader.py`` loads it and
``cache.py`` keeps it on disk. ``manifest.py`` is the image of a program: the data besides the code
that a run needs. ``numpy_call.py`` computes an operation without a kernel between two stretches of
machine code. ``eager_kernels.py``, ``operation_program.py``, ``convolution_kernels.py`` and
``row_functions.py`` make kernels of single operations for eager mode, and ``scalar_kernels.py``
makes those that draw random numbers. ``array_loops.py`` runs Python loops over arrays.
``threads.py`` is the pool of native threads. ``denormals.py`` sets how the processor treats
denormal numbers, ``handlers.py`` keeps signal handlers out of recordings, and ``bounds_report.py``
checks the memory that kernels touch.
"""
