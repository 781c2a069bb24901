"""Signals during long native calls: Ctrl-C is answered soon, and other handlers run meanwhile."""

import os
import signal
import sys
import threading
import time
import warnings

import pytest

pytest.importorskip("llvmlite")

import rushlight as torch
from rushlight.compiler.calls.entry import Entry
from rushlight.compiler.cpu.target import CHECKED, host
from rushlight.compiler.run import eager_kernels, native_program, program
from tests.daily import daily

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")


@pytest.fixture(autouse=True)
def same_count_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def long():
    """(a compiled function that takes about a second, its input, its result)."""
    x = torch.linspace(-0.01, 0.01, 700 * 700).reshape(700, 700)

    def loop(x, times):
        y = x
        for _ in range(times):
            y = (y @ x).tanh()
        return y

    times, seconds = 4, 0.0
    while seconds < 0.6:
        times *= 2
        f = torch.compile(lambda x, times=times: loop(x, times))
        f(x)
        began = time.perf_counter()
        want = f(x)
        seconds = time.perf_counter() - began
    return f, x, want


def interrupt_after(seconds, answers):
    """Send SIGINT to this process; its time goes to ``answers``."""

    def send():
        answers.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(seconds, send).start()


@pytest.mark.parametrize("n", daily([1, 2, 3], 1, "threads of a long call"))
def test_a_long_call_answers_an_interrupt(long, n):
    f, x, want = long
    torch.set_num_threads(n)
    took = []
    for after in (0.05, 0.15, 0.25):
        sent = []
        interrupt_after(after, sent)
        with pytest.raises(KeyboardInterrupt):
            f(x)
        took.append(time.perf_counter() - sent[0])
        assert torch.equal(f(x), want)
    assert min(took) < 0.1  # others may hold the cores for a while


def test_a_large_operation_answers_an_interrupt():
    x = torch.linspace(-1, 1, 1 << 23).reshape(1 << 11, -1)
    want = x.softmax(1)
    took = []
    for _ in range(3):
        sent = []
        interrupt_after(0.02, sent)
        try:
            while True:
                x.softmax(1)
        except KeyboardInterrupt:
            took.append(time.perf_counter() - sent[0])
    assert min(took) < 0.1
    assert torch.equal(x.softmax(1), want)


@pytest.mark.skipif(CHECKED, reason="checks know the workspaces of when the run began only")
def test_handlers_that_return_change_nothing(long):
    """They run in the middle, call programs, change the number of threads; the call goes on."""
    f, x, want = long
    g = torch.compile(lambda x: (x @ x.mT).exp())
    small, seen = x[:50, :50] * 2, []
    whole = g(small)
    torch.set_num_threads(2)

    def handler(signum, frame):
        seen.append(time.perf_counter())
        torch.set_num_threads(1 + len(seen) % 3)
        assert torch.equal(g(small), whole)
        if len(seen) == 4:
            signal.setitimer(signal.ITIMER_REAL, 0)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        found = f(x)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen and torch.equal(found, want)


def test_any_exception_of_a_handler_ends_the_call(long):
    f, x, want = long

    def handler(signum, frame):
        raise TimeoutError("too long")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeoutError, match="too long"):
            f(x)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert torch.equal(f(x), want)


def test_what_an_interrupted_step_wrote_is_marked_as_written(long):
    """A graph that needs the values of before is an error, and no gradient is half written."""
    _, x, _ = long
    w = x.clone().requires_grad_()

    @torch.compile
    def step(x):
        w.grad = None
        y = w
        for _ in range(20):
            y = (y @ x).tanh()
        y.sum().backward()
        with torch.no_grad():
            w.sub_(w.grad)

    step(x)
    step(x)
    before = lambda: (w.detach().clone(), w._version, (w * w).sum())
    kept, version, loss = before()
    interrupt_after(0.1, [])
    with pytest.raises(KeyboardInterrupt):
        while True:
            kept, version, loss = before()
            step(x)
    if not torch.equal(w, kept):  # else the step was interrupted before it wrote
        assert w._version > version
        with pytest.raises(RuntimeError, match="modified by an inplace"):
            loss.backward()


def test_other_threads_need_no_interrupt(long):
    f, x, want = long
    found = []
    thread = threading.Thread(target=lambda: found.append(f(x)))
    thread.start()
    sent = []
    interrupt_after(0.1, sent)
    with pytest.raises(KeyboardInterrupt):
        while True:
            time.sleep(0.001)
    thread.join()
    assert torch.equal(found[0], want)


def test_an_interrupt_leaves_llvm_free_for_other_threads():
    """llvmlite's lock is taken and released in Python, where an interrupt would leave it taken."""
    seen = []

    def interrupt(frame, event, arg):
        if frame.f_globals.get("__name__") == "llvmlite.binding.ffi" and event == "line":
            seen.append(frame.f_lineno)
            raise KeyboardInterrupt
        return interrupt

    module = "define i32 @f() { ret i32 1 }"
    target = host()
    target.object_code(module)
    sys.settrace(interrupt)
    try:
        target.object_code(module)
    finally:
        sys.settrace(None)
    assert not seen
    found = []
    thread = threading.Thread(target=lambda: found.append(target.object_code(module)), daemon=True)
    thread.start()
    thread.join(60)
    assert found


# Exceptions of handlers -------------------------------------------------------------------


class Late:
    """A handler that is an object; ``after`` has it come at each call of a function."""

    calls = 0

    def __call__(self, signum, frame):
        self.calls += 1
        raise TimeoutError("too long")

    def after(self, function):
        def interrupted(*args, **kwargs):
            signal.raise_signal(signal.SIGALRM)
            return function(*args, **kwargs)

        return interrupted


@pytest.fixture
def late():
    handler = Late()
    before = signal.signal(signal.SIGALRM, handler)
    yield handler
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_handler_s_exception_while_a_program_is_made_ends_the_call(late, monkeypatch):
    """It is no fault of the code generator, for which NumPy would replay the program."""
    f, x = torch.compile(lambda x: (x * 3).exp()), torch.ones(3)
    with monkeypatch.context() as patch:
        patch.setattr(native_program, "machine", late.after(native_program.machine))
        with pytest.raises(TimeoutError):
            f(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.allclose(f(x), (x * 3).exp())
    assert late.calls == 1


def test_a_handler_s_exception_while_a_kernel_is_made_ends_the_operation(late, monkeypatch):
    x = torch.linspace(0, 1, 1 << 20) + 0.125
    eager_kernels._kernels.clear()
    with monkeypatch.context() as patch:
        patch.setattr(eager_kernels, "Stream", late.after(eager_kernels.Stream))
        with pytest.raises(TimeoutError):
            torch.erf(x)
    assert late.calls == 1
    torch.erf(x)
    assert any(
        key[0][0] == "erf" and made is not None for key, made in eager_kernels._kernels.items()
    )


def test_a_handler_s_exception_while_a_call_is_recorded_ends_it(late, monkeypatch):
    monkeypatch.setattr(Entry, "_run", late.after(Entry._run))
    with pytest.raises(TimeoutError):
        torch.compile(lambda x: x * 2)(torch.ones(2))
    assert late.calls == 1  # no second run, by eager mode, which nothing would end


def test_a_handler_s_exception_ends_a_replay_on_numpy(late, monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    f, x = torch.compile(lambda x: (x * 3).exp(), options={"audit": False}), torch.ones(3)
    f(x)
    with monkeypatch.context() as patch:
        patch.setattr(program.Program, "_compute", late.after(program.Program._compute))
        with pytest.raises(TimeoutError):
            f(x)
    assert late.calls == 1
