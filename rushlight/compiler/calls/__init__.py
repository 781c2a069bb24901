"""The compiled function: which program a call gets, and what surrounds the program.

``compiled.py`` chooses between the entries of a function. An entry (``entry.py``) is one recorded
call. ``wrapper.py`` writes a Python function around the entry's program. In this function
``arguments.py``, ``guard.py``, ``hooks.py`` and ``shared_inputs.py`` check that a call is like the
recorded one, ``persistent_inputs.py`` keeps parameters and state in place, and ``results.py``
makes the results. ``escapes.py`` finds tensors that the function left outside, ``gradient.py`` has
the gradient for a backward outside, and ``deferred.py`` makes schedulers' steps. ``audit.py``
records calls again to compare, and ``directives.py`` is the API by which users direct the compiler.
"""
