"""What a recorded call reads and writes of Python's objects, observed while it runs.

``frames.py`` looks at the operands of the interpreter's instructions, ``observer.py`` has Python
call it before each instruction of the user's code, ``instructions.py`` says what each kind of
instruction reads or writes, ``calls.py`` what functions written in C do. What was read becomes
conditions (``reads.py``); what was written is taken back, and done again by each run
(``effects.py``).
"""
