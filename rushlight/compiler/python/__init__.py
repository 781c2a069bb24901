"""The reads and writes of Python objects in a recorded call, observed while the call runs.

``observer.py`` makes Python call it before each bytecode instruction of the user's code.
``frames.py`` reads the instruction's operands from the interpreter's stack. ``instructions.py``
knows what each kind of instruction reads or writes, ``calls.py`` what functions written in C do.
Each read becomes a condition (``reads.py``). Writes are undone after the recording, and each run of
the program does them again (``effects.py``).
"""
