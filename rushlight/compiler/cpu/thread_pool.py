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
"""

from rushlight.compiler.cpu.float_mode import mode_functions
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

_CALLER = """
define i64 @parallel(ptr %kernel, ptr %args, i64 %chunks, ptr %since.given) {
  %since.own = alloca i64
  store i64 0, ptr %since.own
  %none = icmp eq ptr %since.given, null
  %since = select i1 %none, ptr %since.own, ptr %since.given
  %shares = alloca i64  ; of the round that was broken off; 0: there was none
  store i64 0, ptr %shares
  %taken = alloca [SHARES x i64]
  %start = load atomic ptr, ptr @start monotonic, align 8
  %started = icmp eq ptr %start, null
  %several = icmp sgt i64 %chunks, 1
  %asks = icmp ne i64 %chunks, 1
  br i1 %started, label %sit, label %first
first:
  br i1 %several, label %begin, label %sit
begin:  ; a signal that waits would be lost in the callback
  %early = call i1 @look(ptr %since)
  br i1 %early, label %stopped, label %call
call:
  %unable = call i32 %start()
  %able = icmp eq i32 %unable, 0
  br i1 %able, label %sit, label %stopped
sit:
  %seat = call i64 @sit(i64 SEATS)
  %scratch = call ptr @workspace(i64 %seat)
  %workers.place = getelementptr %Setup, ptr @setup, i32 0, i32 2
  %workers = load i32, ptr %workers.place
  %leads = icmp eq i64 %seat, 0
  %helped = icmp ne i32 %workers, 0
  %a = and i1 %leads, %helped
  %b = and i1 %a, %several
  br i1 %b, label %shared, label %alone
shared:
  %where = phi ptr [ %scratch, %sit ], [ %first.scratch, %resume ]
  %broken = call i1 @lead(ptr %kernel, ptr %args, i64 %chunks, ptr %where, ptr %since,
                          ptr %shares, ptr %taken)
  call void @rise(i64 0)
  br i1 %broken, label %listen, label %done
listen:
  %raised = call i1 @look(ptr %since)
  br i1 %raised, label %stopped, label %resume
resume:  ; the chunks that are left are written down as a leader's
  %zero = call i64 @sit(i64 1)
  %first.scratch = call ptr @workspace(i64 0)
  br label %shared
alone:
  %c = phi i64 [ 0, %sit ], [ %c1, %run ], [ %c, %again ]
  %here = phi i64 [ %seat, %sit ], [ %here, %run ], [ %other, %again ]
  %space = phi ptr [ %scratch, %sit ], [ %space, %run ], [ %other.scratch, %again ]
  br i1 %asks, label %ask, label %next
ask:
  %due = call i1 @due(ptr %since)
  br i1 %due, label %leave, label %next
next:
  %more = icmp slt i64 %c, %chunks
  br i1 %more, label %run, label %rise
run:
  call void %kernel(ptr %args, i64 %c, ptr %space)
  %c1 = add i64 %c, 1
  br label %alone
leave:
  call void @rise(i64 %here)
  %error = call i1 @look(ptr %since)
  br i1 %error, label %stopped, label %again
again:
  %other = call i64 @sit(i64 SEATS)
  %other.scratch = call ptr @workspace(i64 %other)
  br label %alone
rise:
  call void @rise(i64 %here)
  br label %done
done:
  ret i64 0
stopped:
  ret i64 1
}

define internal void @rise(i64 %seat) alwaysinline {
  %mine = getelementptr i32, ptr @seats, i64 %seat
  store atomic i32 0, ptr %mine release, align 4
  ret void
}

define internal i64 @sit(i64 %seats) {  ; the number of a seat that was free, among the first
entry:
  br label %try
try:
  %seat = phi i64 [ 0, %entry ], [ %other, %taken ], [ 0, %full ]
  %place = getelementptr i32, ptr @seats, i64 %seat
  %was = atomicrmw xchg ptr %place, i32 1 acquire
  %free = icmp eq i32 %was, 0
  br i1 %free, label %done, label %taken
taken:
  %up = add i64 %seat, 1
  %other = urem i64 %up, %seats
  %all = icmp eq i64 %other, 0
  br i1 %all, label %full, label %try
full:
  call void @nap(i32 NAP)
  br label %try
done:
  ret i64 %seat
}

define internal ptr @workspace(i64 %number) alwaysinline {
  %base = load ptr, ptr @setup
  %stride.place = getelementptr %Setup, ptr @setup, i32 0, i32 1
  %stride = load i64, ptr %stride.place
  %offset = mul i64 %number, %stride
  %address = getelementptr i8, ptr %base, i64 %offset
  ret ptr %address
}

define internal i1 @lead(ptr %kernel, ptr %args, i64 %chunks, ptr %scratch, ptr %since,
                         ptr %kept, ptr %taken) {  ; whether the round was broken off
entry:
  %began = call i64 @clock()
  store ptr %kernel, ptr @task
  %args.place = getelementptr %Task, ptr @task, i32 0, i32 1
  store ptr %args, ptr %args.place
  %chunks.place = getelementptr %Task, ptr @task, i32 0, i32 2
  store i64 %chunks, ptr %chunks.place
  %mode = call i64 @mode()
  %mode.place = getelementptr %Task, ptr @task, i32 0, i32 4
  store i64 %mode, ptr %mode.place
  %shares = call i64 @share(i64 %chunks, ptr %kept, ptr %taken)
  store atomic i32 0, ptr @left monotonic, align 4
  %last = load atomic i32, ptr @gate monotonic, align 4
  %all = or i32 %last, LOW
  %round = add i32 %all, 1
  %opened = or i32 %round, OPEN
  store atomic i32 %opened, ptr @gate seq_cst, align 4
  %sleepers = load atomic i32, ptr @asleep seq_cst, align 4
  %rouse = icmp ne i32 %sleepers, 0
  br i1 %rouse, label %ring, label %work
ring:
  call void @rouse(i64 %chunks)
  br label %work
work:
  %broken = call i1 @take(ptr %kernel, ptr %args, i64 %chunks, i64 %shares, i64 0, ptr %scratch,
                          ptr %since, ptr %taken)
  %before = atomicrmw and ptr @gate, i32 CLOSE acq_rel
  %entered = and i32 %before, COUNT
  br label %look
look:
  %n = phi i64 [ 0, %work ], [ %n1, %pause ]
  %left = load atomic i32, ptr @left acquire, align 4
  %joined = icmp eq i32 %left, %entered
  br i1 %joined, label %done, label %wait
wait:
  %patience = load i64, ptr @patience
  %tired = icmp sge i64 %n, %patience
  br i1 %tired, label %doze, label %pause
pause:
  call void @pause()
  %n1 = add i64 %n, 1
  br label %look
doze:
  %closed = call i64 @clock()
  store atomic i64 %began, ptr @began monotonic, align 8
  store atomic i64 %closed, ptr @closed monotonic, align 8
  store atomic i32 1, ptr @waiting seq_cst, align 4
  br label %nod
nod:
  %still = load atomic i32, ptr @left seq_cst, align 4
  %late = icmp eq i32 %still, %entered
  br i1 %late, label %awake, label %sleep
sleep:
  call void @sleep(ptr @left, i32 %still, i32 NAP)
  br label %nod
awake:
  store atomic i32 0, ptr @waiting monotonic, align 4
  br label %done
done:
  ret i1 %broken
}

define internal void @rouse(i64 %chunks) noinline {  ; wake as many workers as have a chunk to do
  %core = call i32 @core()
  store atomic i32 %core, ptr @home monotonic, align 4
  store atomic i32 0, ptr @asleep seq_cst, align 4
  %others = sub i64 %chunks, 1
  %big = icmp sgt i64 %others, COUNT
  %wanted = select i1 %big, i64 COUNT, i64 %others
  %woken = call i64 @wake(ptr @gate, i64 %wanted)
  %more = icmp eq i64 %woken, %wanted
  br i1 %more, label %again, label %done
again:
  store atomic i32 1, ptr @asleep seq_cst, align 4
  br label %done
done:
  ret void
}

define internal i64 @share(i64 %chunks, ptr %kept, ptr %taken) {
; Cut them into shares, one for each thread, or go on with those of the round that was broken off.
entry:
  %workers.place = getelementptr %Setup, ptr @setup, i32 0, i32 2
  %workers = load i32, ptr %workers.place
  %others = zext i32 %workers to i64
  %threads = add i64 %others, 1
  %few = icmp slt i64 %chunks, %threads
  %wanted = select i1 %few, i64 %chunks, i64 %threads
  %many = icmp sgt i64 %wanted, SHARES
  %most = select i1 %many, i64 SHARES, i64 %wanted
  %before = load i64, ptr %kept
  %fresh = icmp eq i64 %before, 0
  %shares = select i1 %fresh, i64 %most, i64 %before
  store i64 %shares, ptr %kept
  %shares.place = getelementptr %Task, ptr @task, i32 0, i32 3
  store i64 %shares, ptr %shares.place
  br label %set
set:
  %s = phi i64 [ 0, %entry ], [ %s1, %store ]
  br i1 %fresh, label %store, label %recall
recall:
  %taken.place = getelementptr i64, ptr %taken, i64 %s
  %known = load i64, ptr %taken.place
  br label %store
store:
  %n = phi i64 [ 0, %set ], [ %known, %recall ]
  %place = getelementptr [16 x i64], ptr @next, i64 %s
  store atomic i64 %n, ptr %place monotonic, align 8
  %s1 = add i64 %s, 1
  %more = icmp slt i64 %s1, %shares
  br i1 %more, label %set, label %done
done:
  ret i64 %shares
}

define internal i1 @take(ptr %kernel, ptr %args, i64 %chunks, i64 %shares, i64 %who, ptr %scratch,
                         ptr %since, ptr %taken.before) {
; Run chunks until there are no more; the leader, who has a clock, may break the round off.
entry:
  %leads = icmp ne ptr %since, null
  %own = urem i64 %who, %shares
  br label %look
look:  ; for chunks in the own share, then in those of the others
  %s = phi i64 [ %own, %entry ], [ %other, %on ]
  %seen = phi i64 [ 1, %entry ], [ %seen1, %on ]
  %s1 = add i64 %s, 1
  %before = mul i64 %s, %chunks
  %after = mul i64 %s1, %chunks
  %begin = udiv i64 %before, %shares
  %end = udiv i64 %after, %shares
  %place = getelementptr [16 x i64], ptr @next, i64 %s
  br label %next
next:
  br i1 %leads, label %ask, label %grab
ask:
  %due = call i1 @due(ptr %since)
  br i1 %due, label %break, label %grab
grab:
  %taken = atomicrmw add ptr %place, i64 1 monotonic
  %c = add i64 %begin, %taken
  %more = icmp slt i64 %c, %end
  br i1 %more, label %run, label %empty
run:
  call void %kernel(ptr %args, i64 %c, ptr %scratch)
  br label %next
empty:
  %all = icmp eq i64 %seen, %shares
  br i1 %all, label %done, label %on
on:
  %last = icmp eq i64 %s1, %shares
  %other = select i1 %last, i64 0, i64 %s1
  %seen1 = add i64 %seen, 1
  br label %look
done:
  ret i1 0
break:
  %b = phi i64 [ 0, %ask ], [ %b1, %break ]
  %counter = getelementptr [16 x i64], ptr @next, i64 %b
  %were = atomicrmw xchg ptr %counter, i64 NONE monotonic
  %record = getelementptr i64, ptr %taken.before, i64 %b
  store i64 %were, ptr %record
  %b1 = add i64 %b, 1
  %rest = icmp slt i64 %b1, %shares
  br i1 %rest, label %break, label %broken
broken:
  ret i1 1
}
"""

_WORKER = """
define void @work(ptr %ticket) {  ; a worker's life; its shift and number come as an address
entry:
  %both = ptrtoint ptr %ticket to i64
  %place = and i64 %both, 65535
  %shift.wide = lshr i64 %both, 16
  %shift = trunc i64 %shift.wide to i32
  %shift.place = getelementptr %Setup, ptr @setup, i32 0, i32 3
  %cores = alloca [16 x i64]
  call void @cores(ptr %cores)
  %vain = alloca i32  ; how often it was woken since it last helped
  store i32 0, ptr %vain
  br label %idle
idle:  ; watch the gate with new patience
  %round = phi i32 [ -1, %entry ], [ %round, %last ], [ %round, %where ], [ %round, %crowded ],
                   [ %this, %leave ]
  br label %look
look:
  %n = phi i64 [ 0, %idle ], [ %n1, %pause ], [ %n, %join ]
  %gate = load atomic i32, ptr @gate acquire, align 4
  %this = and i32 %gate, MASK
  %new = icmp ne i32 %this, %round
  %bit = and i32 %gate, OPEN
  %open = icmp ne i32 %bit, 0
  %come = and i1 %new, %open
  br i1 %come, label %enter, label %wait
wait:
  %patience = load i64, ptr @patience
  %tired = icmp sge i64 %n, %patience
  br i1 %tired, label %doze, label %pause
pause:
  call void @pause()
  %n1 = add i64 %n, 1
  br label %look
doze:
  %seen = phi i32 [ %gate, %wait ], [ %now, %away ], [ %seen, %sleep ]
  %nap = phi i32 [ NAP, %wait ], [ NAP, %away ], [ %longer, %sleep ]
  store atomic i32 1, ptr @asleep seq_cst, align 4
  %now.shift = load atomic i32, ptr %shift.place seq_cst, align 4
  %quit = icmp ne i32 %now.shift, %shift
  br i1 %quit, label %home, label %last
last:
  %still = load atomic i32, ptr @gate seq_cst, align 4
  %same = icmp eq i32 %still, %seen
  br i1 %same, label %sleep, label %idle
sleep:
  call void @sleep(ptr @gate, i32 %seen, i32 %nap)
  %twice = shl i32 %nap, 1
  %long = icmp ugt i32 %twice, AWAY
  %longer = select i1 %long, i32 %nap, i32 %twice
  %after = load atomic i32, ptr @gate seq_cst, align 4
  %nothing = icmp eq i32 %after, %seen
  br i1 %nothing, label %doze, label %woken
woken:
  %before = load i32, ptr %vain
  %times = add i32 %before, 1
  store i32 %times, ptr %vain
  %useless = icmp ugt i32 %times, VAIN
  br i1 %useless, label %away, label %where
where:
  %core = call i32 @core()
  %theirs = load atomic i32, ptr @home monotonic, align 4
  %same.core = icmp eq i32 %core, %theirs
  %known = icmp sge i32 %core, 0
  %together = and i1 %same.core, %known
  br i1 %together, label %crowded, label %idle
crowded:
  %moved = call i1 @move(ptr %cores, i32 %core)
  br i1 %moved, label %idle, label %away
away:
  store i32 0, ptr %vain
  call void @nap(i32 AWAY)
  %now = load atomic i32, ptr @gate seq_cst, align 4
  br label %doze
enter:  ; the shift cannot change while the gate is as it was: it is open
  %this.shift = load atomic i32, ptr %shift.place acquire, align 4
  %mine = icmp eq i32 %this.shift, %shift
  br i1 %mine, label %join, label %home
join:
  %one = add i32 %gate, 1
  %swap = cmpxchg ptr @gate, i32 %gate, i32 %one acq_rel monotonic
  %in = extractvalue { i32, i1 } %swap, 1
  br i1 %in, label %help, label %look
help:
  store i32 0, ptr %vain
  %kernel = load ptr, ptr @task
  %args.place = getelementptr %Task, ptr @task, i32 0, i32 1
  %args = load ptr, ptr %args.place
  %chunks.place = getelementptr %Task, ptr @task, i32 0, i32 2
  %chunks = load i64, ptr %chunks.place
  %shares.place = getelementptr %Task, ptr @task, i32 0, i32 3
  %shares = load i64, ptr %shares.place
  %mode.place = getelementptr %Task, ptr @task, i32 0, i32 4
  %wanted = load i64, ptr %mode.place
  %mode = call i64 @mode()
  %alike = icmp eq i64 %mode, %wanted
  br i1 %alike, label %start, label %adapt
adapt:
  call void @set_mode(i64 %wanted)
  br label %start
start:
  %scratch = call ptr @workspace(i64 %place)
  %who = sub i64 %place, LEADER
  %end = call i1 @take(ptr %kernel, ptr %args, i64 %chunks, i64 %shares, i64 %who, ptr %scratch,
                       ptr null, ptr null)
  %late = call i1 @late()
  %left = atomicrmw add ptr @left, i32 1 seq_cst
  %waiting = load atomic i32, ptr @waiting seq_cst, align 4
  %ring = icmp ne i32 %waiting, 0
  br i1 %ring, label %tell, label %leave
tell:
  %told = call i64 @wake(ptr @left, i64 1)
  br label %leave
leave:
  br i1 %late, label %away, label %idle
home:
  ret void
}

define internal i1 @late() {  ; whether the caller waits for longer than it worked
  %waiting = load atomic i32, ptr @waiting monotonic, align 4
  %waits = icmp ne i32 %waiting, 0
  %began = load atomic i64, ptr @began monotonic, align 8
  %closed = load atomic i64, ptr @closed monotonic, align 8
  %now = call i64 @clock()
  %worked = sub i64 %closed, %began
  %waited = sub i64 %now, %closed
  %longer = icmp sgt i64 %waited, %worked
  %late = and i1 %waits, %longer
  ret i1 %late
}
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
    text = _STATE + _CALLER + _WORKER + _CONTROL
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
