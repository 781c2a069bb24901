"""Eager calls that repeat, in native code.

``calls.py`` decides which calls get an entry. ``capture.py`` finds out what a call does: it runs
the function on ``noted.py``'s arrays, which note NumPy's loops on a ``tape.py`` (``cores.py``:
those over matrices), and ``outcome.py`` has what the call makes. ``entry_words.py`` and
``looks.py`` write that down as words in memory (``memory.py``, ``records.py``). ``enter.py``,
``comparing.py``, ``making.py``, ``tensors.py`` and ``nodes.py`` read the words; ``module.py``
translates them to machine code, with loops of our own, and ``machine_code.py`` loads it.
``objects.py`` has the layout of Python's and NumPy's objects.
"""
