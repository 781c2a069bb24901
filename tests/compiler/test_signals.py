"""Signals during long native calls: Ctrl-C is answered soon, and other handlers run meanwhile."""

import os
import signal
import sys
import threading
import time

import pytest

import rushlight as torch
from rushlight.compiler.emit.target import CHECKED, host

pytest.importorskip("llvmlite")
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


@pytest.mark.parametrize("n", [1, 2, 3])
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
    assert sorted(took)[1] < 0.3


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
    interrupt_after(0.1, [])
    with pytest.raises(KeyboardInterrupt):
        while True:
            kept, version, loss = w.detach().clone(), w._version, (w * w).sum()
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
