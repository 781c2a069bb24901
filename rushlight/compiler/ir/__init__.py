"""The intermediate representation: equations on abstract values, and index arithmetic.

``abstract.py`` defines a value: shape, dtype and strides, but no elements. ``equation.py`` defines
an operation on such values. ``affine.py`` is the arithmetic of addresses, which are affine
functions of loop variables. ``roles.py`` assigns each equation its role in planning, and
``machine.py`` lists what the planner must know about the machine.
"""
