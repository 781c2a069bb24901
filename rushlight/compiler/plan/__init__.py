"""From equations to kernels: what is computed together, in which order, and where values lie.

``graph.py`` gives each equation its role; ``fusion.py`` joins equations that run over the same
elements; ``schedule.py`` orders the kernels and gives values their memory. ``kernel.py`` is the
expressions of one kernel, ``loops.py`` how its loops run, ``contractions.py`` its products with
their epilogues, ``kernel_signature.py`` says when two kernels are the same code.
"""
