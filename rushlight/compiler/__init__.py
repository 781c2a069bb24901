"""``torch.compile``: record a call once, replay it as a flat program.

``abstract.py`` has the values of a trace, ``trace.py`` records operations on them, ``program.py``
replays, ``compile.py`` keeps the programs and guards of a function.
"""
