"""The compiled function: which program a call gets, and what surrounds the program.

``compiled.py`` chooses between the entries of a function; ``entry.py`` is one recorded call.
``wrapper.py`` writes one Python function for it: ``arguments.py`` and ``guard.py`` check that a
call is like the recorded one, ``persistent_inputs.py`` keeps parameters and state in place,
``results.py``, ``escapes.py`` and ``gradient.py`` make what comes back, what was left outside, and
the gradient that a backward from outside runs. ``deferred.py`` takes schedulers' steps,
``audit.py`` records calls again to compare, ``directives.py`` is what programs tell the compiler.
"""
