"""``torch.compiler.explain``: what became of a compiled function, and what each part costs.

``explain.py`` calls the function once and gathers: ``inventory.py`` what each kernel does, from the
program's schedule, ``cost.py`` the work in it, ``machine_peak.py`` what the machine can do at most,
``rehearsal.py`` times on copies, ``conditions.py`` and ``wording.py`` guards and equations in
words. ``report.py`` prints it; ``picture.py`` draws it (``layers.py`` places boxes, ``drawing.py``
writes SVG and PNG).
"""
