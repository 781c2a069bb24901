"""The operands of an interpreter's frames are those that its instructions get."""

# The functions here are written for the instructions that they become.
# ruff: noqa: B015, B018, C416, F821, I001, PIE800, PIE804

import contextlib
import ctypes
import dis
import pathlib
import sys
import sysconfig
import types
import warnings

import pytest

from rushlight.compiler.python.frames import (
    NULL,
    Code,
    Operands,
    _frame_address,
    _places,
    available,
)
from rushlight.compiler.python.instructions import KINDS

pytestmark = pytest.mark.skipif(not available(), reason="frames cannot be read here")

# Depths of the stack --------------------------------------------------------------------------

#: Of the standard library's code this many files are looked at by default.
FILES = 25


def code_of(path):
    """All code objects of a file; none where this Python cannot read it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return with_inner(compile(path.read_bytes(), str(path), "exec"))
    except (SyntaxError, ValueError):
        return []


def with_inner(code):
    """A code object, and those of the functions and classes in it."""
    inner = [x for x in code.co_consts if isinstance(x, types.CodeType)]
    return [code, *[c for x in inner for c in with_inner(x)]]


def standard_files():
    home = pathlib.Path(sysconfig.get_paths()["stdlib"])
    skipped = {"site-packages", "test", "tests", "idlelib", "lib2to3"}
    return sorted(p for p in home.rglob("*.py") if not skipped & {*p.relative_to(home).parts})


def check_depths(paths):
    seen = 0
    for path in paths:
        for code in code_of(path):
            seen += 1
            for kind, instruction, depth in Code(code, KINDS).instructions.values():
                where = path.name, code.co_qualname, instruction.offset, instruction.opname
                assert 0 <= depth <= code.co_stacksize, where
                if instruction.opname == "RETURN_VALUE":
                    assert depth <= 1, where
                if kind is not None:
                    count = kind[0] if type(kind[0]) is int else kind[0](instruction)
                    assert count <= depth or not depth, where  # code that is never reached has 0
    return seen


def test_depths_in_the_standard_library():
    files = standard_files()
    assert check_depths(files[:: len(files) // FILES]) > 200


@pytest.mark.slow
def test_depths_in_all_of_the_standard_library():
    assert check_depths(standard_files()) > 5000


# Operands -------------------------------------------------------------------------------------


class Watch:
    """Follows the frames of one function's code, and keeps the operands of the last instruction.

    Attributes:
        last: (the instruction's name, its operands) before the instruction that runs.
        checked: How many operations found what was seen to be what they were given.
        names: Names of all instructions that ran.
    """

    def __init__(self, function):
        self.codes = {*with_inner(function.__code__)}
        self.last = None, ()
        self.checked = 0
        self.names = set()
        self.wrong = []

    def enter(self, frame, event, argument):
        if frame.f_code not in self.codes:
            return None
        code = Code(frame.f_code, KINDS)
        operands = Operands(frame, code)

        def trace(frame, event, argument):
            if event == "opcode":
                kind, instruction, depth = code.instructions[frame.f_lasti]
                if sys.version_info < (3, 12):
                    self.compare_depth(frame, instruction, depth)
                count = depth
                if kind is not None:
                    count = kind[0] if type(kind[0]) is int else kind[0](instruction)
                self.last = instruction.opname, operands.top(depth, count)
                self.names.add(instruction.opname)
            return trace

        frame.f_trace = trace  # Python 3.13 asks for opcodes only where there is a tracer
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    def compare_depth(self, frame, instruction, depth):
        """Python 3.11 has the height of a frame's stack in the word before the variables."""
        place = _frame_address(frame) + (_places()[0] - 1) * ctypes.sizeof(ctypes.c_void_p)
        top = ctypes.c_int.from_address(place).value
        code = frame.f_code
        variables = len({*code.co_varnames, *code.co_cellvars}) + len(code.co_freevars)
        if top != variables + depth:
            self.wrong.append((code.co_name, instruction.offset, instruction.opname, top, depth))

    def told(self, *given):
        """An operation was asked for with ``given``: the same lay on the stack, in this order."""
        name, operands = self.last
        operands = [x for x in operands if x is not NULL]
        if name == "MATCH_CLASS":  # (the object, its class, names of attributes)
            operands = operands[:1]
        if len(operands) > len(given):  # all of the stack, of an instruction that is not watched
            operands = operands[-len(given) :]
        if [*map(id, operands)] == [*map(id, given)]:
            self.checked += 1
        else:
            self.wrong.append((name, operands, given))


WATCH = None


class Probe:
    """An object that compares each operation on it with the operands that were seen."""

    def __init__(self, *items):
        self.__dict__["items"] = items

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        WATCH.told(self)
        return Probe()

    def __setattr__(self, name, value):
        WATCH.told(value, self)

    def __delattr__(self, name):
        WATCH.told(self)

    def __getitem__(self, key):
        WATCH.told(self, key)
        return Probe()

    def __setitem__(self, key, value):
        WATCH.told(value, self, key)

    def __delitem__(self, key):
        WATCH.told(self, key)

    def __contains__(self, x):
        WATCH.told(x, self)
        return True

    def __iter__(self):
        WATCH.told(self)
        return Once(self.items)

    def __bool__(self):
        WATCH.told(self)
        return True

    def __eq__(self, other):
        WATCH.told(self, other)
        return True

    __hash__ = object.__hash__
    __lt__ = __add__ = __mul__ = __iadd__ = __matmul__ = __eq__

    def __radd__(self, other):
        WATCH.told(other, self)
        return Probe()

    def __neg__(self):
        WATCH.told(self)
        return Probe()

    __invert__ = __neg__

    def __format__(self, spec):
        WATCH.told(self, *([spec] if spec else []))
        return "text"


class Once:
    """An iterator that compares, too."""

    def __init__(self, items):
        self.items = [*items]

    def __iter__(self):
        return self

    def __next__(self):
        name, operands = WATCH.last
        if name == "SEND":  # what is sent lies above
            WATCH.last = name, operands[:-1]
        if name in ("FOR_ITER", "SEND"):
            WATCH.told(self)
        if not self.items:
            raise StopIteration
        return self.items.pop(0)


class Called:
    """Called with anything, compares the operands of the call."""

    def __call__(self, *args, **kwargs):
        name, operands = WATCH.last
        operands = [x for x in operands if x is not NULL]
        if name == "CALL_FUNCTION_EX":
            function, positional, *rest = operands
            given = rest[0] if rest else {}
            seen = [function, *positional, *given.values()]
        else:
            seen = operands[:-1] if name == "CALL_KW" else operands
        WATCH.last = name, seen
        WATCH.told(self, *args, *kwargs.values())
        return Probe()


class Failure(Exception):
    """Compares when its attributes are read."""

    def __getattr__(self, name):
        if not name.startswith("__"):
            WATCH.told(self)


class Described:
    """A member of a class that compares which object it is read of."""

    def __get__(self, owner, cls):
        name, operands = WATCH.last
        if name == "LOAD_SUPER_ATTR":
            WATCH.last = name, operands[-1:]
        elif operands and isinstance(operands[-1], super):
            WATCH.last = name, [operands[-1].__self__]
        WATCH.told(owner)
        return lambda: Probe()


class Base:
    member = Described()


def attributes(a, b, f):
    a.x.y.z = b.x
    del a.x
    return a.x.method


def items(a, b, f):
    a[b][1] = b["k"]
    del a[b]
    b in a
    return b not in a


def arithmetic(a, b, f):
    c = 1 + (a + b)
    c = 1 + a
    a += b
    return [-b, ~b, b * 2, b @ c, b == c, b < 3]


def calls(a, b, f):
    f()
    f(a)
    f(a, f(b), k=b, m=1)
    f(*[a, b])
    f(a, *[b], **{"k": a})
    return f(a, b)


def closures(a, b, f):
    c = b

    def inner(d):
        nonlocal c
        f(c, d, a.x)
        c = d
        return c.x

    return inner(a), inner(b), c.y


def generators(a, b, f):
    def inner():
        got = yield a.x
        f(got)
        yield b[a]
        try:
            yield f(a)
        finally:
            f(b)

    running = inner()
    next(running)
    running.send(b)
    next(running)
    running.close()
    return [x for x in inner()]


def delegation(a, b, f):
    def outer():
        yield from Once([a, b])
        got = yield from inner()
        f(got)

    def inner():
        x = yield a
        f(x)
        return b.x

    running = outer()
    next(running)
    running.send(None)
    running.send(None)
    with contextlib.suppress(StopIteration):
        running.send(a)
    return [*outer()]


def exceptions(a, b, f):
    for _ in range(2):
        try:
            try:
                raise Failure(f(a))
            except Failure as error:
                error.cause
                f(b, error)
                raise ValueError from error
            finally:
                f(a)
        except (TypeError, ValueError) as other:
            f(other, b.x)
        else:
            f(b)
    return f(a)


def comprehensions(a, b, f):
    found = [f(x, b) for x in Probe(a, b) if x.k if f(x)]
    also = {f(x): f(x, y) for x in Probe(a, b) for y in Probe(a)}
    return found, also, {f(x) for x in [a, b]}, [*(x.k for x in Probe(a))]


def parents(a, b, f):
    class Child(Base):
        def method(self, x):
            f(x)
            super().member()
            f(self, x)
            return super().member

    return Child().method(a)


def contexts(a, b, f):
    class Manager:
        def __enter__(self):
            return f(self, b)

        def __exit__(self, *exception):
            return True

    with Manager() as m, Manager():
        f(m, a)
        raise ValueError(f(b))
    return f(b, a)


def patterns(a, b, f):
    found = []
    for x in (a, [a, b], {"k": a, "m": b}, Base(), 3, "text", [a, b, a]):
        match x:
            case Probe(k=k):
                found.append(f(k, a))
            case [c, d]:
                found.append(f(c, d))
            case {"k": c, **rest}:
                found.append(f(c, rest))
            case Base(member=m):
                found.append(m)
            case int(n) if f(n, b):
                found.append(a.x)
            case [c, *others]:
                found.append(f(c, others))
            case _:
                found.append(f(x))
    return found


def texts(a, b, f):
    spec = "width"
    return f"{a}{b:{spec}} {f(a)} {a!r}", f"{a:wide}", f(b)


def jumps(a, b, f):
    i = 0
    while a and i < 3:
        i += 1
        if not b or f(i) is None:
            continue
        c = a.x if b else b.x
        a or f(b)
        if i == 2 and b and c:
            break
    return f(c) and a.x


def unpacking(a, b, f):
    c, *d = Probe(a, b, f)
    (e, g), h = [c, d[0]], f(a)
    return f(c, *d, *Probe(a), **{"k": e}, m=g), {**{"x": a}, "y": f(h)}, [*Probe(a, b), f(e)]


def imports(a, b, f):
    from os import path as p, sep

    import os.path as q

    f(p, q, a.x)
    return f(sep)


def deleted(a, b, f):
    c = d = a
    del d
    try:
        d
    except UnboundLocalError:
        f(c)
    with_default = lambda x, y=a, *, z=b: f(x, y, z)
    return with_default(c), f(a)


FUNCTIONS = (
    attributes, items, arithmetic, calls, closures, generators, delegation, exceptions,
    comprehensions, parents, contexts, patterns, texts, jumps, unpacking, imports, deleted,
)  # fmt: skip


def long_function():
    """A function with more than 256 constants, names and variables, so with EXTENDED_ARG."""
    lines = ["def long(a, b, f):"]
    lines += [f"    v{i} = f({i * 1000 + 7}, a.name{i})" for i in range(300)]
    lines += ["    while b:", *[f"        f(v{i}, b.name{i + 1})" for i in range(300)]]
    lines += ["        if f(a) and b:", "            break", "    return f(v299, v0)"]
    space: dict = {}
    exec("\n".join(lines), space)
    return space["long"]


def watched(function, *args):
    """Run a function under a ``Watch``."""
    global WATCH
    WATCH = Watch(function)
    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True
    sys.settrace(WATCH.enter)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return WATCH


@pytest.mark.parametrize("function", [*FUNCTIONS, long_function()], ids=lambda f: f.__name__)
def test_operands_are_what_the_instruction_gets(function):
    watch = watched(function, Probe(), Probe(), Called())
    assert not watch.wrong
    assert watch.checked > 2


def test_functions_have_the_instructions_that_they_are_for():
    names = set().union(*[watched(f, Probe(), Probe(), Called()).names for f in FUNCTIONS])
    instructions = {name for name in dis.opmap if name in KINDS}
    rare = {"LOAD_NAME", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "DELETE_DEREF"}
    for name in ("LOAD_ATTR", "STORE_ATTR", "STORE_SUBSCR", "CALL", "CALL_FUNCTION_EX", "SEND"):
        assert name in names
    assert len(instructions - names - rare) < len(instructions) / 2
