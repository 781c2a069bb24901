"""Locks and forks: a child can do all that its parent could, whatever other threads were doing."""

import ast
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rushlight import locks
from tests.daily import daily

PACKAGE = Path(locks.__file__).resolve().parent
LOCKS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier", "allocate_lock"}
forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def test_no_other_module_makes_locks():
    for path in PACKAGE.rglob("*.py"):
        if path.name == "locks.py":
            continue
        text = path.read_text("utf-8")
        assert not re.search(
            "@functools.cached_property|^from functools .*cached_property", text, re.M
        ), f"{path}: up to Python 3.11 it has a lock; locks.py has one that forks may be in"
        if "thread" not in text and "register_at_fork" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            name = getattr(node, "attr", None)
            assert not (name in LOCKS and ast.unparse(node.value) in ("threading", "_thread")), path
            assert name != "register_at_fork", f"{path}: locks.around_fork keeps the order"
            if isinstance(node, ast.ImportFrom) and node.module in ("threading", "_thread"):
                assert LOCKS.isdisjoint(a.name for a in node.names), path


HEAD = """
import os, signal, sys, threading, time
import rushlight as torch
import rushlight.nn.functional as F
from rushlight import locks
from rushlight.autograd import mode

def forked(work, seconds=60):
    # What ``work`` gives in a child; "hangs" where it does not end.
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            signal.alarm(seconds)
            os.write(write, repr(work()).encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
        os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    return os.read(read, 1000).decode() or f"hangs: {status}"

def meanwhile(work):
    # Have another thread do ``work`` again and again; a function that ends it.
    ends = threading.Event()
    def loop():
        k = 0
        while not ends.is_set():
            k += 1
            work(k)
    thread = threading.Thread(target=loop)
    thread.start()
    return lambda: (ends.set(), thread.join())
"""


def python(code, timeout=180):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", HEAD + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


@forking
def test_every_lock_that_another_thread_holds_is_free_in_the_child():
    code = """
    f = torch.compile(lambda x, k: x * k)
    f(torch.ones(3), 2.0); f(torch.ones(3), 3.0)
    torch.ones(1 << 20).exp()
    g = torch.Generator()
    found = [r() for r in locks._locks.valuerefs()] + [r() for r in locks._awaited.valuerefs()]
    print(len(found) > 8)
    for lock in found:
        awaited = any(r() is lock for r in locks._awaited.valuerefs())
        held, free = threading.Event(), threading.Event()
        def hold():
            with lock:
                held.set()
                time.sleep(0.05) if awaited else free.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        result = forked(lambda: lock.acquire(timeout=5))
        free.set()
        thread.join()
        if result != "True" or not lock.acquire(timeout=5):
            print(result, lock)
    print("end")
    """
    pytest.importorskip("llvmlite")
    assert python(code) == (["True", "end"], "")


@forking
def test_a_property_that_another_thread_computes_while_the_process_forks():
    code = """
    begun, end = threading.Event(), threading.Event()
    class Plan:
        def __init__(self, waits): self.waits = waits
        @locks.cached_property
        def size(self):
            begun.set()
            return self.waits and end.wait() or 3
    plan = Plan(True)
    thread = threading.Thread(target=lambda: plan.size)
    thread.start()
    begun.wait()
    print(forked(lambda: Plan(False).size, 10))
    end.set()
    thread.join()
    """
    assert python(code) == (["3"], "")


@forking
@pytest.mark.parametrize("patience", [10, 0])
@pytest.mark.parametrize(
    "name",
    [
        "llvmlite.binding",
        "rushlight.compiler.cpu.machine",
        "rushlight.compiler.run.eager_kernels",
        "rushlight.serialization.atomic",
    ],
)
def test_modules_that_another_thread_imports_while_the_process_forks(name, patience, tmp_path):
    code = f"""
    os.environ["RUSHLIGHT_CACHE_DIR"] = {str(tmp_path)!r}
    name, begun, locks._PATIENCE = {name!r}, threading.Event(), {patience}
    class Slow:
        def find_spec(self, wanted, *rest):
            if wanted == name and not begun.is_set():
                begun.set()
                time.sleep(0.5)
    sys.modules.pop(name, None)
    sys.meta_path.insert(0, Slow())
    work = lambda: torch.ones(1 << 18).exp().sum() > 0
    thread = threading.Thread(target=work)
    thread.start()
    print(begun.wait(60), forked(work, 20))
    thread.join()
    """
    pytest.importorskip("llvmlite")
    out, err = python(code)
    assert out == ["True tensor(True)"] and ("RuntimeWarning" in err) == (not patience)


@forking
@pytest.mark.parametrize("seed", daily(range(40), 2, "forks during the first work"))
def test_forks_at_any_instant_while_another_thread_imports_and_compiles(seed, tmp_path):
    code = f"""
    import random
    os.environ["RUSHLIGHT_CACHE_DIR"] = {str(tmp_path)!r}
    def work():
        x = torch.ones(1 << 18).exp()
        y = torch.special.bessel_j0(F.conv2d(torch.ones(8, 8, 32, 32), torch.ones(8, 8, 3, 3)))
        return torch.compile(lambda x: (x * 2).sum())(x) > 0
    thread = threading.Thread(target=work)
    thread.start()
    draws = random.Random({seed})
    for _ in range(4):
        time.sleep(draws.random() / 8)
        result = forked(work)
        if result != "tensor(True)":
            print(result)
    thread.join()
    print("end")
    """
    pytest.importorskip("llvmlite")
    assert python(code) == (["end"], "")


#: What another thread does while the process forks, and what its child does then.
WORK = {
    "first kernels": """
        from rushlight.compiler.run import eager_kernels as eager
        x = torch.ones(1 << 18)
        def work(k):
            eager._kernels.clear()
            eager._calls.clear()
            x.exp(); F.conv2d(torch.ones(8, 8, 32, 32), torch.ones(8, 8, 3, 3))
    """,
    "recording": """
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner, self.calls = torch.nn.Linear(3, 3), 0
            def forward(self, x):
                self.calls += 1
                return self.inner(x) * self.calls
        net = Net()
        kept = net.inner.weight
        def work(k):
            assert type(net.calls) is int and net.inner.weight is kept
            torch.compile(net)(torch.ones(2, 3))
            torch.compile(net)(torch.ones(k % 7 + 1, 3))
    """,
    "a program with numbers": """
        f = torch.compile(lambda x, k: (x @ x) * k)
        x = torch.ones(200, 200)
        f(x, 1.0); f(x, 2.0)
        def work(k):
            assert (f(x, float(k)) == 200 * k).all()
    """,
    "one operation": """
        image, w = torch.ones(32, 16, 32, 32), torch.ones(16, 16, 3, 3)
        def work(k):
            assert (F.conv2d(image, w) == 144).all()
    """,
    "drawing": """
        own = torch.Generator()
        def work(k):
            torch.randn(1 << 16)
            torch.randn(1 << 16, generator=own)
            torch.set_rng_state(torch.get_rng_state())
    """,
    "resizing": """
        f = torch.compile(lambda x: (x @ x).exp())
        x = torch.zeros(200, 200)
        def work(k):
            torch.set_num_threads(k % 3 + 1)
            assert (f(x) == 1).all()
    """,
    "modes": """
        def work(k):
            with torch.no_grad(), torch.autocast("cpu"):
                torch.ones(2) + 1
            assert torch.is_grad_enabled()
    """,
    "profiling": """
        f = torch.compile(lambda x: x * 2)
        def work(k):
            with torch.profiler.profile():
                f(torch.ones(3))
    """,
}


@forking
@pytest.mark.parametrize("name", daily(WORK, 4, "work of another thread"))
def test_a_child_does_what_another_thread_was_doing(name):
    code = textwrap.dedent(WORK[name]) + textwrap.dedent("""
    def child():
        work(1)
        work(2)
        assert mode.state.recorder is None and not mode.grad_off and not mode.intercept
        assert (torch.ones(3, requires_grad=True) * 2).requires_grad
        return "right"

    work(1)
    ends = meanwhile(work)
    for _ in range(8):
        time.sleep(0.004)
        result = forked(child)
        if result != "'right'":
            print(result)
    ends()
    print("end")
    """)
    pytest.importorskip("llvmlite")
    assert python(code) == (["end"], "")


@forking
def test_a_fork_that_waits_too_long_goes_on_and_warns():
    code = """
    locks._PATIENCE = 0.2
    lock = torch.default_generator.lock
    held, free = threading.Event(), threading.Event()
    def hold():
        with lock:
            held.set()
            free.wait()
    threading.Thread(target=hold).start()
    held.wait()
    print(forked(lambda: lock.acquire(timeout=5)))
    free.set()
    """
    out, err = python(code)
    assert out == ["True"] and "RuntimeWarning: fork: another thread" in err


@forking
def test_a_fork_waits_for_a_thread_that_works():
    """On a busy machine a thread may take long for a little work."""
    code = """
    locks._PATIENCE = 0.8
    lock, held = torch.default_generator.lock, threading.Event()
    def hold():
        with lock:
            held.set()
            end = time.thread_time() + 1.7
            while time.thread_time() < end:
                pass
    threading.Thread(target=hold).start()
    held.wait()
    print(forked(lambda: 1))
    """
    assert python(code) == (["1"], "")


@forking
def test_a_thread_that_forks_while_it_holds_a_lock_keeps_it():
    code = """
    def child():
        lock.release()
        return lock._is_owned()
    for lock in (locks.new_lock(), locks.new_lock(awaited=True)):
        lock.acquire()
        print(forked(child))
        lock.release()
    """
    assert python(code) == (["False", "False"], "")
