"""What a recorded call consists of: equations on abstract values, and index arithmetic.

``abstract.py`` is a value (shape, dtype and strides, but no elements), ``equation.py`` an operation
on such values, ``affine.py`` the arithmetic of addresses: affine functions of loop variables.
``roles.py`` says what the planner takes an equation for, ``machine.py`` what it asks of a machine.
"""
