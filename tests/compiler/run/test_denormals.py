"""set_flush_denormal: in the calling thread, on all threads of a program, never in code itself."""

import threading
import time

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import llvmlite.binding as llvm

import rushlight as torch
from rushlight.backend.parallel import each
from rushlight.compiler.cpu.float_mode import flush_bits, mode_module
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host
from rushlight.compiler.cpu.thread_pool import pool_module
from rushlight.compiler.run import denormals, threads
from tests.compiler.run.test_threads import python

pytestmark = pytest.mark.skipif(
    not flush_bits(host().triple), reason="nothing is known of this processor"
)
SMALL = 2e-38  # a quarter of it is denormal in float32
LARGE = 1 << 20


@pytest.fixture(autouse=True)
def all_as_before():
    before = torch.get_num_threads()
    try:
        yield
    finally:
        assert torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def flushes():
    """Whether this thread does, results and operands."""
    small, denormal = np.array([1e-300]), np.array([4], np.int64).view(np.float64)
    results, operands = (small * 1e-10)[0], (denormal * 2.0**60)[0]
    assert (results != 0) == (operands != 0)
    return not operands


def bits(x):
    return x.numpy().view(np.int32)


def test_eager_and_back():
    assert not flushes()
    for mode in (True, True, False, False, True, False):
        assert torch.set_flush_denormal(mode) is True
        assert flushes() is mode
        made = torch.tensor([1e-40])
        product = torch.tensor([SMALL]) * 0.25
        assert bits(made).any() == bits(product).any() == (not mode)


def test_answers():
    for mode in (1, 0, None, "on", np.bool_(True)):
        with pytest.raises(RuntimeError, match=f"expects a bool, but got {type(mode).__name__}"):
            torch.set_flush_denormal(mode)


def test_where_it_cannot_be_set(monkeypatch):
    class Unknown(denormals._Register):
        def __init__(self):
            super().__init__()
            self.flush = 0

    with monkeypatch.context() as patch:
        patch.setattr(denormals, "_register", Unknown())
        assert torch.set_flush_denormal(True) is False
        assert not flushes()
    with monkeypatch.context() as patch:
        patch.setattr("rushlight.defaults.llvm_works", lambda: False)
        assert torch.set_flush_denormal(True) is False
        assert torch.set_flush_denormal(False) is False


def test_other_threads_are_left_alone():
    turn, found = threading.Event(), []

    def look():
        turn.wait()
        found.append(flushes())

    thread = threading.Thread(target=look)
    thread.start()
    torch.set_flush_denormal(True)
    turn.set()
    thread.join()
    assert found == [False] and flushes()


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("begin", [False, True])  # in which mode the workers start
def test_compiled(n, begin):
    torch.set_flush_denormal(begin)
    torch.set_num_threads(n)
    f = torch.compile(lambda x: x * 0.25, fullgraph=True)
    x = torch.full((LARGE,), SMALL)
    for mode in (begin, not begin, begin, not begin):
        torch.set_flush_denormal(mode)
        for y in (f(x), f(x), x * 0.25):
            assert np.count_nonzero(bits(y)) == (0 if mode else LARGE)
        assert flushes() is mode


def test_any_number_of_threads_gives_the_same():
    x = torch.randn(LARGE, generator=torch.Generator().manual_seed(0)) * 1e-38
    w = (torch.rand(256, 64) - 0.5) * 1e-19
    f = torch.compile(
        lambda x, w: (x * 0.3, x.abs().log(), x.abs().sqrt(), (w.T @ w) * 0.7, (x * 0.1).sum()),
        fullgraph=True,
    )
    results = {}
    for mode in (False, True):
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            torch.set_flush_denormal(mode)
            results[mode, n] = [y.numpy().tobytes() for y in f(x, w)]
        assert results[mode, 1] == results[mode, 2] == results[mode, 3]
    assert results[False, 1] != results[True, 1]


KERNEL = """
; args: for each chunk a number, what becomes of it, and who did it
%Chunk = type { float, float, ptr }

define void @kernel(ptr %args, i64 %chunk, ptr %scratch) {
entry:
  %x.place = getelementptr %Chunk, ptr %args, i64 %chunk
  %y.place = getelementptr %Chunk, ptr %args, i64 %chunk, i32 1
  %who = getelementptr %Chunk, ptr %args, i64 %chunk, i32 2
  store ptr %scratch, ptr %who
  br label %loop
loop:  ; for long enough that another thread comes
  %i = phi i64 [ 0, %entry ], [ %up, %loop ]
  %x = load volatile float, ptr %x.place
  %y = fmul float %x, 2.5e-1
  store volatile float %y, ptr %y.place
  %up = add i64 %i, 1
  %more = icmp ult i64 %up, 20000
  br i1 %more, label %loop, label %done
done:
  ret void
}

declare i64 @parallel(ptr, ptr, i64, ptr)

define void @main(ptr %args) {
  %stopped = call i64 @parallel(ptr @kernel, ptr %args, i64 8, ptr null)
  ret void
}
"""


def test_workers_follow_their_caller():
    torch.set_num_threads(2)
    threads.reserve(4096)
    run = load(host().object_code(KERNEL), {"parallel": threads.parallel()}).function("main")
    table = np.zeros(8, [("x", "f4"), ("y", "f4"), ("who", "i8")])
    table["x"] = SMALL
    shared = {False: 0, True: 0}  # rounds that a worker had a part in
    end = time.monotonic() + 20
    while min(shared.values()) < 3 and time.monotonic() < end:
        for mode in shared:
            torch.set_flush_denormal(mode)
            for _ in range(2):
                run(table.ctypes.data)
                assert np.count_nonzero(table["y"].copy().view(np.int32)) == (0 if mode else 8)
                shared[mode] += len(set(table["who"])) == 2
    assert min(shared.values()) >= 3


def test_parts_of_arrays_follow():
    torch.set_flush_denormal(True)
    look = denormals.carried(flushes)
    torch.set_flush_denormal(False)
    found = []
    thread = threading.Thread(target=lambda: found.extend([flushes(), look()]))
    thread.start()
    thread.join()
    assert found == [False, True] and not flushes()
    torch.set_num_threads(2)
    for mode in (True, False):
        torch.set_flush_denormal(mode)
        assert each(lambda part: flushes(), range(8)) == [mode] * 8


def test_programs_are_the_same_whichever_mode_they_were_written_in():
    one = torch.compile(lambda x: x + 1.25e-40, fullgraph=True)
    many = torch.compile(lambda x: x + torch.tensor([1.5e-40, 0, 1, 2]), fullgraph=True)
    x = torch.zeros(4)
    torch.set_flush_denormal(True)
    assert not bits(one(x)).any() and not bits(many(x))[:2].any()
    large = torch.zeros(LARGE) + 1.75e-40  # by a kernel of its own
    assert not bits(large).any() and flushes()
    torch.set_flush_denormal(False)
    assert one(x).tolist() == [np.float32(1.25e-40)] * 4
    assert many(x).tolist() == [np.float32(1.5e-40), 0, 1, 2]
    assert (torch.zeros(LARGE) + 1.75e-40)[7].item() == np.float32(1.75e-40)


def test_not_in_a_trace():
    def f(x):
        torch.set_flush_denormal(True)
        return x * 0.25

    with pytest.raises(Exception, match="can only be set outside"):
        torch.compile(f, fullgraph=True)(torch.ones(2))
    assert not flushes()


def test_in_a_new_process_without_warnings():
    code = """
    import warnings
    warnings.simplefilter("error", UserWarning)
    import rushlight as torch
    print("llvmlite" in sys.modules, torch.set_flush_denormal(True))
    import numpy as np
    kinds = torch.float16, torch.float32, torch.float64
    for kind in "efdgFD":
        np.finfo(kind)
    flushing = list(map(repr, map(torch.finfo, kinds)))
    print((torch.tensor(1e-323, dtype=torch.float64) * 1).item(), torch.set_flush_denormal(False))
    print((torch.tensor(1e-323, dtype=torch.float64) * 1).item())
    print(flushing == list(map(repr, map(torch.finfo, kinds))))
    """
    assert python(code) == ["False", "True", "0.0", "True", "1e-323", "True"]


@pytest.mark.parametrize(
    "triple",
    ["x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc", "aarch64-unknown-linux-gnu",
     "arm64-apple-darwin", "riscv64-unknown-linux-gnu"],
)  # fmt: skip
def test_every_processors_code_is_valid(triple):
    for module in (mode_module(triple), pool_module(triple)):
        llvm.parse_assembly(module).verify()
    assert (flush_bits(triple) != 0) == ("riscv" not in triple)
