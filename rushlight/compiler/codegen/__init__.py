"""What any LLVM target shares: values, memory, control flow, and loops over elements.

* What instructions are written with: ``value.py`` (a number or a vector of numbers, whose
  operators append instructions), ``memory.py``, ``half.py``, ``control.py``, ``loop.py``,
  ``scope.py``, ``frame.py``.
* Operations on elements: ``elementwise.py`` runs an operation's own forward in the namespace of
  ``namespace.py``, whose functions are in ``math/``.
* Kernels of loops: ``loop_kernel.py``, with ``nodes.py``, ``accumulators.py``, ``spills.py``.
  ``row_reads.py`` and ``window_reads.py`` say which elements rows and windows read.
* ``emission.py`` is what an emitter of kernels promises its caller.
"""
