"""``torch.compiler.explain``: what became of a compiled function, and what each part costs.

``explain.py`` calls the function once and gathers the facts. ``inventory.py`` finds what each
kernel does, from the program's schedule, and ``cost.py`` how much work this is. ``machine_peak.py``
measures what the machine can do at most, and ``rehearsal.py`` times the program on copies.
``conditions.py`` and ``wording.py`` put guards and equations into words. ``report.py`` prints the
explanation, and ``picture.py`` draws it (``layers.py`` places boxes, ``drawing.py`` writes SVG and
PNG).
"""
