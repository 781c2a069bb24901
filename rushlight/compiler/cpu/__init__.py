"""Kernels for processors: tiles in registers, packed operands, convolutions, attention, threads.

* Products: ``contraction.py``, cut by ``contraction_tiling.py``, computed by
  ``contraction_kernels.py`` from copies by ``packing.py`` in the tiles of ``microkernel.py``.
* Convolutions: ``convolution.py``; ``image_shifts.py``, ``convolution_tiling.py`` and
  ``shifted_sum.py`` for results and input gradients, ``weight_gradient.py`` and
  ``narrow_gradient.py`` for weights, with ``image_strips.py`` and ``convolution_tiles.py``.
  Pooling: ``pooling.py``, ``pooling_forms.py``.
* Attention: ``attention.py`` and the files whose names begin with ``attention_``.
* ``row_stream.py``: loop kernels for any number of rows; ``open_rows.py``: for rows of any length.
* ``machine.py``: the processor as the other stages see it.
* Running kernels: ``kernel_sequence.py`` runs them one after the other, ``thread_pool.py`` on
  threads, with ``pool_caller.py``, ``pool_worker.py``, ``waiting.py``, ``signals.py`` and
  ``float_mode.py``. ``target.py`` makes machine code. ``checked_access.py`` makes a finished
  module's loads and stores check their addresses.
"""
