"""The ``rushlight demo`` command: train on real digits, look at the result, prove what was saved.

``program`` is the whole run; ``options`` and ``data`` are what goes in, ``models`` and ``training``
what happens, ``progress`` and ``pictures`` what is seen, ``checkpoint`` what stays, ``stopping``
how it ends early.
"""
