"""The ``rushlight demo`` command: train on real digits, look at the result, prove what was saved.

``program`` is the whole run. ``options`` and ``data`` are its input. ``models`` and ``training``
train the network. ``progress``, ``pictures`` and ``results`` show and write results. ``checkpoint``
reads and writes files, and ``stopping`` handles signals.
"""
