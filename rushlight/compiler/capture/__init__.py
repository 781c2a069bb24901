"""From Python calls to equations: recording, shapes, and rewriting.

``recorder.py`` turns operations on tensors into equations, whose shapes
``inference.py`` finds; ``memory.py`` is the memory that recorded tensors look at. Then
``lowering.py`` writes composite operations as primitive ones, ``slice_sums.py`` adds gradients of
slices into one memory, ``value_checks.py`` makes checks of values equations, and ``simplify.py``
drops equations that repeat, do nothing, or are read by nobody. Python's numbers and large arrays
that a function finds outside have stand-ins: ``symbolic_numbers.py``, ``outer_arrays.py``.
"""
