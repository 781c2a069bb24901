"""How threads wait, and what they ask of the system, as LLVM IR for each system and processor.

The thread pool needs these functions:

* ``sleep`` waits for a ``wake`` of the same word; on systems without futexes it only naps.
* ``nap`` waits for a number of microseconds.
* ``pause`` is a processor's short pause between two looks at a word.
* ``clock`` is the processor's clock, or always 0 if it has none that is known.
* ``core`` is the core on which the thread runs, or a negative number.
* ``cores`` is the set of cores on which the thread may run.
* ``move`` lets the thread run on these cores except one, and tells whether that was possible.
"""

__all__ = ["waiting_functions"]

_FUTEX = """
declare i64 @syscall(i64, ...)
declare i32 @sched_getcpu()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define internal i32 @core() {
  %core = call i32 @sched_getcpu()
  ret i32 %core
}

define internal void @cores(ptr %set) {  ; 1024 bits; none where there are more cores
  call void @llvm.memset.p0.i64(ptr %set, i8 0, i64 128, i1 false)
  %size = call i32 @sched_getaffinity(i32 0, i64 128, ptr %set)
  ret void
}

define internal i1 @move(ptr %set, i32 %core) {
  %known = icmp ult i32 %core, 1024
  br i1 %known, label %leave, label %stay
leave:
  %number = lshr i32 %core, 6
  %word = getelementptr i64, ptr %set, i32 %number
  %place = and i32 %core, 63
  %shift = zext i32 %place to i64
  %bit = shl i64 1, %shift
  %all = load i64, ptr %word
  %rest = xor i64 %bit, -1
  %others = and i64 %all, %rest
  store i64 %others, ptr %word
  %error = call i32 @sched_setaffinity(i32 0, i64 128, ptr %set)  ; if there is no other
  store i64 %all, ptr %word
  %moved = icmp eq i32 %error, 0
  ret i1 %moved
stay:
  ret i1 0
}

define internal void @sleep(ptr %word, i32 %seen, i32 %nap) {  ; not if the word has changed
  %done = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %word, i64 128, i32 %seen, ptr null)
  ret void
}

define internal i64 @wake(ptr %word, i64 %most) {  ; how many were woken
  %woken = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %word, i64 129, i64 %most)
  ret i64 %woken
}
"""

_NAPS = """
define internal i32 @core() {
  ret i32 -2  ; unknown
}

define internal void @cores(ptr %set) {
  ret void
}

define internal i1 @move(ptr %set, i32 %core) {
  ret i1 0
}

define internal void @sleep(ptr %word, i32 %seen, i32 %nap) {
  call void @nap(i32 %nap)
  ret void
}

define internal i64 @wake(ptr %word, i64 %most) {
  ret i64 0
}
"""

_POSIX_NAP = """
declare i32 @usleep(i32)

define internal void @nap(i32 %microseconds) {
  %done = call i32 @usleep(i32 %microseconds)
  ret void
}
"""

_WINDOWS_NAP = """
declare void @Sleep(i32)

define internal void @nap(i32 %microseconds) {
  %some = udiv i32 %microseconds, 1000
  %milliseconds = add i32 %some, 1
  call void @Sleep(i32 %milliseconds)
  ret void
}
"""

# ``pause`` and ``clock``, by processor.
_PROCESSORS = {
    "x86_64": """
declare void @llvm.x86.sse2.pause()
declare i64 @llvm.readcyclecounter()

define internal void @pause() alwaysinline {
  call void @llvm.x86.sse2.pause()
  ret void
}

define internal i64 @clock() alwaysinline {
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}
""",
    "aarch64": """
declare void @llvm.aarch64.hint(i32)
declare i64 @llvm.readsteadycounter()

define internal void @pause() alwaysinline {
  call void @llvm.aarch64.hint(i32 1)
  ret void
}

define internal i64 @clock() alwaysinline {
  %now = call i64 @llvm.readsteadycounter()
  ret i64 %now
}
""",
}
_OTHER = """
define internal void @pause() alwaysinline {
  ret void
}

define internal i64 @clock() alwaysinline {
  ret i64 0
}
"""

_FUTEX_CALLS = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "powerpc64le": 221, "s390x": 238}


def waiting_functions(triple, futex):
    """The definitions of these functions for a target; without ``futex``, ``sleep`` naps."""
    processor = triple.split("-")[0].replace("arm64", "aarch64")
    number = _FUTEX_CALLS.get(processor) if futex and "linux" in triple else None
    sleep = _NAPS if number is None else _FUTEX.replace("FUTEX", str(number))
    nap = _WINDOWS_NAP if "windows" in triple else _POSIX_NAP
    return sleep + nap + _PROCESSORS.get(processor, _OTHER)
