"""The observer of Python's interpreter: other tracers, threads, and functions in C."""

import array
import bisect
import builtins
import collections
import contextvars
import decimal
import gc
import heapq
import importlib
import operator
import os
import re
import signal
import sys
import threading
import time
import warnings
import weakref

import numpy as np
import pytest

import rushlight as torch
from rushlight.compiler.python import known
from rushlight.compiler.python.frames import available
from rushlight.ours import PACKAGES

pytestmark = pytest.mark.skipif(not available(), reason="frames cannot be read here")

# Other tracers --------------------------------------------------------------------------------


def product(x):
    y = x * 2
    z = y + 1
    return z


def lines_of(function, call):
    """The lines of ``function`` that a tracer of lines is told while ``call`` runs."""
    told = []

    def trace(frame, event, argument):
        if frame.f_code is not function.__code__:
            return None
        told.append((event, frame.f_lineno - function.__code__.co_firstlineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    return told


def test_a_tracer_of_lines_is_told_the_same():
    x = torch.ones(3)
    eager = lines_of(product, lambda: product(x))
    assert [line for event, line in eager if event == "line"] == [1, 2, 3]
    f = torch.compile(product, fullgraph=True, options={"audit": False})
    assert lines_of(product, lambda: f(x)) == eager
    assert not lines_of(product, lambda: f(x))  # the program runs, and no Python


def test_there_is_no_tracer_after_a_recording():
    before = sys.gettrace()
    torch.compile(product)(torch.ones(3))
    assert sys.gettrace() is before
    with pytest.raises(RuntimeError):
        torch.compile(lambda x: x * x.sum().item(), fullgraph=True)(torch.ones(3))
    assert sys.gettrace() is before


def test_a_tracer_that_raises():
    class Stop(Exception):
        pass

    def trace(frame, event, argument):
        if frame.f_code is product.__code__ and event == "line":
            raise Stop
        return trace

    f, before = torch.compile(product), sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(Stop):
            f(torch.ones(3))
    finally:
        sys.settrace(before)
    assert f(torch.ones(3)).tolist() == [3.0] * 3


def test_recording_in_another_thread():
    scale, found = [2.0], []
    f = torch.compile(lambda x: x * scale[0], fullgraph=True)

    def work():
        found.append(f(torch.ones(2)).tolist())
        scale[0] = 3.0
        found.append(f(torch.ones(2)).tolist())
        found.append(sys.gettrace())

    before = sys.gettrace()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[:2] == [[2.0, 2.0], [3.0, 3.0]]
    assert found[2] is None or found[2] is before
    assert sys.gettrace() is before


def test_threads_that_record_at_once():
    scales = [float(i) for i in range(4)]
    found: dict = {}

    def work(i):
        f = torch.compile(lambda x: x * scales[i])
        found[i] = [f(torch.ones(1)).item() for _ in range(2)]
        scales[i] += 10
        found[i].append(f(torch.ones(1)).item())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: [float(i), float(i), i + 10.0] for i in range(4)}


# Known functions in C -------------------------------------------------------------------------

#: Modules and functions of other platforms or versions.
ELSEWHERE = {
    "nt", "_sha256", "_sha512", "_sha2", "numpy._get_extobj_dict", "numpy.seterr", "sys.exception",
    "sys._getframemodulename", "_warnings._filters_mutated", "_thread._is_owned",
    "_warnings._filters_mutated_lock_held", "_warnings._acquire_lock", "_warnings._release_lock",
}  # fmt: skip


def found_in(full):
    """The function that an entry of a list names: of the module, or of a type in it; or None."""
    root, name = full.rsplit(".", 1)
    try:
        module = importlib.import_module(root)
    except ImportError:
        return None
    if hasattr(module, name):
        return getattr(module, name)
    kinds = [x for x in vars(module).values() if isinstance(x, type) and hasattr(x, name)]
    return getattr(kinds[0], name) if kinds else None


def in_c(function):
    return not hasattr(function, "__code__") and callable(function)


@pytest.mark.parametrize("full", sorted({*known._PURE_FUNCTIONS, *known.REPLAYED, *known._IMPURE}))
def test_a_listed_function_is_one_in_c(full):
    function = found_in(full)
    if function is None:
        assert full in ELSEWHERE or full.split(".")[0] in ELSEWHERE, full
    elif full not in known._IMPURE:  # what is impure may be Python's, and is observed then
        assert in_c(function), full


@pytest.mark.parametrize("name", sorted(known._PURE_MODULES.difference(PACKAGES)))
def test_a_listed_module_exists(name):
    try:
        importlib.import_module(name)
    except ImportError:
        assert name in ELSEWHERE or name in ("ml_dtypes", "llvmlite", "scipy"), name


def test_listed_functions_of_ours_exist():
    spaces = [torch, *[m for n, m in sys.modules.items() if n.startswith("rushlight.")]]
    for name in known.REPLAYED_OURS:
        assert any(callable(getattr(space, name, None)) for space in spaces), name
    for name in known.OF_VALUES:
        assert callable(getattr(torch.Tensor, name, None) or getattr(torch, name)), name
    for name in known._IMPURE_BUILTINS:
        assert callable(getattr(builtins, name)), name


def test_mutators_are_methods_or_functions_that_exist():
    owners = (
        list, dict, set, bytearray, collections, collections.deque, collections.OrderedDict, array.array,
        np.ndarray, heapq, bisect, operator,
    )  # fmt: skip
    for name in known.MUTATORS - {"itemset"}:  # NumPy 1 has it
        assert any(hasattr(owner, name) for owner in owners), name


def context_variable():
    variable = contextvars.ContextVar("observed", default=2.0)
    return (lambda x: x * variable.get()), lambda: variable.set(3.0), None


def precision():
    context, before = decimal.getcontext(), decimal.getcontext().prec
    return (
        lambda x: x * decimal.getcontext().prec,
        lambda: setattr(context, "prec", before + 3),
        lambda: setattr(context, "prec", before),
    )


def recursion():
    before = sys.getrecursionlimit()
    return (
        lambda x: x * sys.getrecursionlimit(),
        lambda: sys.setrecursionlimit(before + 100),
        lambda: sys.setrecursionlimit(before),
    )


def folder():
    before = os.getcwd()
    return lambda x: x * len(os.getcwd()), lambda: os.chdir("/"), lambda: os.chdir(before)


def collector():
    return lambda x: x * (2 if gc.isenabled() else 3), gc.disable, gc.enable


def interval():
    before = sys.getswitchinterval()
    return (
        lambda x: x * sys.getswitchinterval(),
        lambda: sys.setswitchinterval(before * 2),
        lambda: sys.setswitchinterval(before),
    )


#: Functions of REPLAYED whose answer changes: a function, a change, and its end.
CHANGING = {
    "_contextvars.get": context_variable, "decimal.getcontext": precision,
    "sys.getrecursionlimit": recursion, "posix.getcwd": folder, "gc.isenabled": collector,
    "sys.getswitchinterval": interval,
}  # fmt: skip
#: Those whose answer stays as long as a process does.
CONSTANT = {
    "sys.getdefaultencoding": lambda x: x * len(sys.getdefaultencoding()),
    "posix.getpid": lambda x: x * (os.getpid() % 7),
}
#: Another name, or tested with tracers and threads.
OTHERS = {"_decimal.getcontext", "nt.getcwd", "nt.getpid", "sys.gettrace", "_thread.get_ident"}


def test_each_function_that_is_asked_again_has_a_test():
    assert {*CHANGING, *CONSTANT, *OTHERS} == known.REPLAYED


@pytest.mark.parametrize("name", CHANGING)
def test_what_is_asked_again_at_each_call(name):
    f, change, end = CHANGING[name]()
    x, compiled = torch.ones(2), torch.compile(f, fullgraph=True)
    try:
        before = f(x)
        for _ in range(3):
            assert torch.equal(compiled(x), before)
        change()
        assert not torch.equal(f(x), before)
        for _ in range(3):
            assert torch.equal(compiled(x), f(x))
    finally:
        if end is not None:
            end()


@pytest.mark.parametrize("name", CONSTANT)
def test_what_stays(name):
    f = CONSTANT[name]
    compiled, x = torch.compile(f, fullgraph=True), torch.ones(2)
    for _ in range(3):
        assert torch.equal(compiled(x), f(x))


class Kept:
    k = 2.0


def test_objects_that_are_asked_again():
    kept, get = Kept(), operator.attrgetter("k")
    reference, item = weakref.ref(kept), operator.itemgetter(0)
    values = [5.0]
    f = torch.compile(
        lambda x: x * get(kept) * item(values) + (reference() is None), fullgraph=True
    )
    x = torch.ones(1)
    assert [f(x).item() for _ in range(3)] == [10.0] * 3
    kept.k = 3.0
    assert f(x).item() == 15.0
    values[0] = 2.0
    assert f(x).item() == 6.0


# Patterns and texts, which functions in C look into ---------------------------------------------


class Matched:
    __match_args__ = ("k", "m")

    def __init__(self):
        self.k = 2.0


def by_keyword(x, o):
    match o:
        case Matched(k=k):
            return x * k
    return x


def by_position(x, o):
    match o:
        case Matched(k, m):
            return x * k * m
        case Matched(k):
            return x * k + 1
    return x


def by_value(x, o):
    match o:
        case Matched(k=2.0):
            return x * 7
    return x


@pytest.mark.parametrize("f", [by_keyword, by_position, by_value])
def test_a_class_pattern_reads_attributes(f):
    o, x = Matched(), torch.ones(2)
    compiled = torch.compile(lambda x: f(x, o), fullgraph=True)
    for change in (("k", 2.0), ("k", 3.0), ("m", 4.0), ("m", 5.0)):
        setattr(o, *change)
        for _ in range(2):
            assert torch.equal(compiled(x), f(x, o))
    del o.m
    assert torch.equal(compiled(x), f(x, o))
    Matched.__match_args__ = ("m", "k")
    try:
        assert torch.equal(compiled(x), f(x, o))
    finally:
        Matched.__match_args__ = ("k", "m")


def test_a_text_with_a_specification_reads_what_it_formats():
    k = np.array(2.0)
    f = torch.compile(lambda x: x * float(f"{k:.2f}"), fullgraph=True)
    assert f(torch.ones(1)).item() == 2.0
    k[...] = 3.0
    assert f(torch.ones(1)).item() == 3.0


# Unknown functions in C -------------------------------------------------------------------------

UNKNOWN = {
    "print": lambda x: (print("text", file=None), x * 2)[1],
    "open": lambda x: x * len(open(os.devnull).read()),  # noqa: SIM115
    "os.listdir": lambda x: x * len(os.listdir("/")),
    "os.urandom": lambda x: x * os.urandom(1)[0],
    "os.cpu_count": lambda x: x * os.cpu_count(),
    "gc.get_count": lambda x: x * gc.get_count()[0],
    "sys.getallocatedblocks": lambda x: x * sys.getallocatedblocks(),
    "sys.setswitchinterval": lambda x: (sys.setswitchinterval(0.005), x)[1],
}


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_unknown_function_runs_eagerly(name, capsys):
    f, x = UNKNOWN[name], torch.ones(2)
    line = f.__code__.co_firstlineno
    compiled = torch.compile(f)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        for _ in range(3):
            compiled(x)
    told = [str(w.message) for w in caught if "torch.compile: running eagerly" in str(w.message)]
    assert len(told) == 1
    where = re.search(r"([^/]+\.py):(\d+): ", told[0])
    assert where is not None
    if where[1] == "test_observer.py":
        assert int(where[2]) == line
    if name == "print":
        assert capsys.readouterr().out == "text\n" * 3
    with pytest.raises(RuntimeError):
        torch.compile(f, fullgraph=True)(x)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_handlers_of_signals_are_not_recorded():
    counted, calls = torch.zeros(1), []

    def handler(number, frame):
        signal.setitimer(signal.ITIMER_REAL, 0)
        counted.add_(1)
        assert bool(counted > 0) and time.perf_counter()
        calls.append(number)
        signal.setitimer(signal.ITIMER_REAL, 0.002)

    def f(x):
        for _ in range(300):
            x = x * 2 - 1
        return x

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        found = torch.compile(f)(torch.ones(2))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert signal.signal(signal.SIGALRM, before) is handler
    assert torch.equal(found, torch.ones(2)) and counted.item() == len(calls) > 0


def test_what_is_told_of_an_error_that_nobody_can_catch_is_not_recorded(monkeypatch):
    class Broken:
        def __del__(self):
            raise ValueError

    counted, told = torch.zeros(1), []

    def hook(unraisable):
        counted.add_(1)
        told.append((unraisable.exc_type, bool(counted > 0), next(iter(told), None), time.time()))

    def f(x):
        Broken()
        return x * 2

    monkeypatch.setattr(sys, "unraisablehook", hook)
    found = torch.compile(f, fullgraph=True)(torch.ones(2))
    assert sys.unraisablehook is hook and found.tolist() == [2, 2]
    assert told[0][0] is ValueError and counted.item() == len(told)
