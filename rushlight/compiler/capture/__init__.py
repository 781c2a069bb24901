"""From Python calls to equations: recording, shapes, and rewriting.

``recorder.py`` turns operations on tensors into equations, and ``ops/core/inference.py`` finds the
shapes of their results. ``tracked_memory.py`` knows the values in the memory that recorded tensors
look at; ``memory.py`` models one memory. ``inputs.py`` has what comes from outside. Then
``lowering.py`` replaces composite operations by primitive ones, ``slice_sums.py`` adds the
gradients of slices in one memory, ``value_checks.py`` turns checks of values into equations, and
``simplify.py`` drops equations that repeat others, do nothing, or are never read. Python numbers
and large NumPy arrays from outside are replaced by stand-ins while a call is recorded
(``symbolic_numbers.py``, ``outer_arrays.py``).
"""
