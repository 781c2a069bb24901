"""From kernels to machine code.

* What instructions are written with: ``value.py`` (a number or a vector of them, whose operators
  append instructions), ``memory.py``, ``half.py``, ``control.py``, ``loop.py``, ``scope.py``,
  ``frame.py``.
* Operations on elements: ``elementwise.py`` runs an operation's own forward in the namespace of
  ``namespace.py``, whose functions are in ``math``; ``support.py`` says which operations can be.
* Kernels of loops: ``loop_kernel.py``, with ``nodes.py``, ``accumulators.py``, ``spills.py``;
  ``stream.py`` for any number of rows.
* Products: ``contraction.py``, cut by ``blocking.py``, computed by ``block.py`` from copies by
  ``packing.py`` in the tiles of ``microkernel.py``.
* Convolutions: ``convolution.py``; ``shifts.py``, ``cut.py``, ``shifted_sum.py`` for results and
  input gradients, ``weight_gradient.py``, ``narrow_gradient.py`` for weights, with ``layout.py``,
  ``rows.py``, ``reads.py`` and ``tiles.py``. Pooling: ``pooling.py``, ``pool_forms.py``.
* Attention: ``attention.py`` and the files that begin so.
* What runs kernels: ``stretch.py`` one after the other; ``pool.py`` on threads, with ``waiting.py``
  and ``float_mode.py``; ``target.py`` as machine code. ``plan.py`` is what an emitter promises its
  caller. ``bounds.py`` has a finished module's loads and stores check their addresses.
"""
