"""Fork and join in native code: the chunks of one kernel, run by the caller and its workers.

A *round* is one call of ``parallel``. Its state is a single word, the gate:

    bits 0-10   how many workers have entered this round
    bit 11      open: a worker may enter
    bits 12-31  the number of the round

Chunks are divided into one share for each thread, and a thread has the same share in every round.
It does its own share first, so that it finds in its own cache what it wrote in an earlier round,
and then the chunks that are left in the others' shares.

The caller opens the gate, takes chunks until none is left, closes the gate, and waits for the
workers that had entered. One that never came (its core was busy) can't enter a closed gate, so
nobody waits for it. A worker enters by compare-and-swap: it can't come in after the gate closed.

Idle workers watch the gate for a short time, then sleep on it (on Linux, by futex; elsewhere by
naps). ``asleep`` says that somebody may be sleeping, so that a round among wakeful workers makes no
system call. The worker says so before it looks at the gate for the last time; the caller opens the
gate before it looks at ``asleep``: one of the two sees the other.

A worker that wakes on the caller's own core moves to another: the two could only take turns, and
the system may leave them so for many rounds. If other processes want the cores, a worker's help can
cost more than it gives. A worker keeps away for a while in three cases: there is no other core; it
was woken several times and always came too late; or it lost its core in the middle of a chunk, and
the caller has waited for it longer than the caller worked.

A caller holds one of a few *seats*, each with scratch memory. Only seat 0 leads workers: further
threads that call at the same time run their chunks alone. Whoever waits for a seat may hold the
GIL, so nothing that is done in a seat may need it.

In Python's main thread a long round is interrupted now and then, so that signals are heeded (Ctrl-C
above all). The caller takes all chunks that are left out of the shares, waits for its workers,
leaves its seat, lets Python's handlers run, and goes on with the chunks that are left in a new
round. If a handler raises, ``parallel`` returns 1 instead of 0, and the exception waits in
``raised``. ``since`` points to the time of the last look for signals, 0 at first; a program uses
the same one for all its rounds. With 0 chunks, ``parallel`` only looks for signals.

A worker is started for one *shift*, a number in the setup. It ends when the setup has another
shift.

A worker computes with floats in the caller's mode (``float_mode.py``). Otherwise results would
depend on which thread did which chunk. It changes its mode only if the caller's is different,
because the change takes many cycles.

The caller's code is in ``pool_caller.py``, the workers' in ``pool_worker.py``.
"""

from rushlight.compiler.cpu.float_mode import mode_functions
from rushlight.compiler.cpu.pool_caller import CALLER
from rushlight.compiler.cpu.pool_worker import WORKER
from rushlight.compiler.cpu.signals import signal_functions
from rushlight.compiler.cpu.waiting import waiting_functions

__all__ = ["SEATS", "pool_module"]

SEATS = 8  # callers at the same time, each with a workspace; a ninth caller waits
_SHARES = 64  # the most shares; if there are more threads, several begin with the same share

_COUNT, _OPEN, _ROUND = (1 << 11) - 1, 1 << 11, 1 << 12

_STATE = """
; Workspaces (first the seats', then the workers'), bytes from one to the next; how many workers
; there are; the number of their shift.
%Setup = type { ptr, i64, i32, i32 }
; The kernel, its arguments, chunks, shares, and how the caller's processor computes with floats.
%Task = type { ptr, ptr, i64, i64, i64 }

; What several cores write in a round lies 128 bytes apart: caches move lines in pairs.
@gate = global i32 0, align 128
@task = global %Task zeroinitializer, align 128
@next = global [SHARES x [16 x i64]] zeroinitializer, align 128  ; of each share, chunks taken
@left = global i32 0, align 128     ; workers that have left this round
@waiting = global i32 0, align 4    ; whether the caller sleeps until they have
@asleep = global i32 0, align 128   ; whether a worker may be sleeping
@seats = global [SEATS x i32] zeroinitializer, align 128
; What changes between rounds only.
@setup = global %Setup zeroinitializer, align 128
@home = global i32 0                ; the core that the caller was on when it woke workers
@began = global i64 0               ; when the round did that the caller sleeps in
@closed = global i64 0              ; when it had closed the gate
@patience = global i64 0            ; how often an idle worker looks before it sleeps
@start = global ptr null            ; i32(): starts the workers at the first round; 1: it raised
"""

_CONTROL = """
define void @arrange(ptr %new) {  ; take a new setup on, when no round runs
entry:
  br label %seize
seize:
  %taken = phi i64 [ 0, %entry ], [ %taken1, %seized ]
  %place = getelementptr i32, ptr @seats, i64 %taken
  br label %try
try:
  %was = atomicrmw xchg ptr %place, i32 1 acquire
  %free = icmp eq i32 %was, 0
  br i1 %free, label %seized, label %busy
busy:
  call void @nap(i32 NAP)
  br label %try
seized:
  %taken1 = add i64 %taken, 1
  %some = icmp slt i64 %taken1, SEATS
  br i1 %some, label %seize, label %settle
settle:
  call void @llvm.memcpy.p0.p0.i64(ptr @setup, ptr %new, i64 24, i1 false)
  store atomic i32 -1, ptr @home monotonic, align 4
  %round = atomicrmw add ptr @gate, i32 ROUND seq_cst
  %woken = call i64 @wake(ptr @gate, i64 COUNT)  ; who shall go home must see it
  br label %yield
yield:
  %given = phi i64 [ 0, %settle ], [ %given1, %yield ]
  %seat = getelementptr i32, ptr @seats, i64 %given
  store atomic i32 0, ptr %seat release, align 4
  %given1 = add i64 %given, 1
  %rest = icmp slt i64 %given1, SEATS
  br i1 %rest, label %yield, label %done
done:
  ret void
}

declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define void @ticks(ptr %place) {
  %now = call i64 @clock()
  store i64 %now, ptr %place
  ret void
}

define void @spin(ptr %times) {  ; so many pauses, to measure them
entry:
  %n = ptrtoint ptr %times to i64
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %up, %loop ]
  call void @pause()
  %up = add i64 %i, 1
  %more = icmp ult i64 %up, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def pool_module(triple, futex=True):
    """The pool as text of LLVM IR; without ``futex``, idle threads nap even on Linux."""
    text = _STATE + CALLER + WORKER + _CONTROL
    for name, value in {
        "SEATS": SEATS,
        "LEADER": SEATS - 1,
        "SHARES": _SHARES,
        "COUNT": _COUNT,
        "OPEN": _OPEN,
        "LOW": _ROUND - 1,
        "ROUND": _ROUND,
        "MASK": -_ROUND,
        "CLOSE": ~_OPEN,
        "NAP": 100,  # microseconds
        "AWAY": 10_000,
        "VAIN": 3,
        "NONE": 1 << 62,
    }.items():
        text = text.replace(name, str(value))
    return (
        text + mode_functions(triple) + waiting_functions(triple, futex) + signal_functions(triple)
    )
