"""How the thread pool lets Python's signal handlers run, as LLVM IR.

``due`` tells whether it is time to look for signals and the thread is Python's main thread, because
handlers run only there. ``look`` lets the handlers run and tells whether one raised. ``look`` waits
for the GIL, and handlers may do anything, so the pool never calls it while it holds a seat.
"""

__all__ = ["PYTHON", "signal_functions"]

#: The functions of Python's C API that the pool calls: name in the pool's code → name in Python.
PYTHON = {
    "this_thread": "PyThread_get_thread_ident",
    "take_lock": "PyGILState_Ensure",
    "run_handlers": "PyErr_CheckSignals",
    "fetch_error": "PyErr_Fetch",
    "give_lock": "PyGILState_Release",
}

_TEXT = """
@main = global i64 0                ; Python's main thread
@interval = global i64 0            ; of the clock, between two looks for signals; 0: none
@raised = global [3 x ptr] zeroinitializer  ; by a signal's handler: type, value, trace

define internal i1 @due(ptr %since) alwaysinline {  ; whether it is time to look for signals
  %now = call i64 @clock()
  %then = load i64, ptr %since
  %new = icmp eq i64 %then, 0
  br i1 %new, label %note, label %ask
note:
  store i64 %now, ptr %since
  ret i1 0
ask:
  %passed = sub i64 %now, %then
  %interval = load i64, ptr @interval
  %less = sub i64 %interval, 1
  %long = icmp ugt i64 %passed, %less
  br i1 %long, label %who, label %no
who:
  %me = call LONG @this_thread()
  %main = load LONG, ptr @main
  %python = icmp eq LONG %me, %main
  ret i1 %python
no:
  ret i1 0
}

declare LONG @this_thread()
declare i32 @take_lock()
declare i32 @run_handlers()
declare void @fetch_error(ptr, ptr, ptr)
declare void @give_lock(i32)

define internal i1 @look(ptr %since) noinline {  ; have handlers run; whether one raised
  %lock = call i32 @take_lock()
  %result = call i32 @run_handlers()
  %raised = icmp ne i32 %result, 0
  br i1 %raised, label %keep, label %done
keep:
  %value = getelementptr ptr, ptr @raised, i64 1
  %trace = getelementptr ptr, ptr @raised, i64 2
  call void @fetch_error(ptr @raised, ptr %value, ptr %trace)
  br label %done
done:
  call void @give_lock(i32 %lock)
  %now = call i64 @clock()
  store i64 %now, ptr %since
  ret i1 %raised
}
"""


def signal_functions(triple):
    """The definitions of ``due`` and ``look`` for a target."""
    return _TEXT.replace("LONG", "i32" if "windows" in triple else "i64")
