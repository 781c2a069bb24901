"""From equations to kernels: what is computed together, in which order, and where values lie.

``graph.py`` gives each equation its role. ``fusion.py`` joins equations that run over the same
elements. ``schedule.py`` orders the kernels and gives values their memory. ``kernel.py`` has the
expressions of one kernel, and ``loops.py`` decides how its loops run. ``kernel_signature.py`` tells
when two kernels have the same code.
"""
