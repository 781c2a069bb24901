"""LLVM code for any target: values, memory, control flow, and loops over elements.

* The tools to write instructions: ``value.py`` (a number or a vector of numbers, whose operators
  append instructions), ``memory.py``, ``half.py``, ``control.py``, ``loop.py``, ``scope.py``,
  ``frame.py``.
* Operations on elements: ``elementwise.py`` runs an operation's own forward in the namespace of
  ``namespace.py``, whose functions are in ``math/``.
* Kernels of loops: ``loop_kernel.py``, with ``nodes.py``, ``accumulators.py``, ``spills.py``.
  ``row_reads.py`` and ``window_reads.py`` say which elements rows and windows read.
* ``scalar_function.py``: a Python function of floats, with its loops and branches, and
  ``array_function.py``: one of arrays.
* ``emission.py``: the kernels and temporaries that an emitter announces before it writes code.
"""
