"""Reading and writing the processor's floating-point control register, as LLVM IR.

The register is MXCSR on x86-64 and FPCR on aarch64. Each thread has its own. It holds the rounding
mode, the errors that trap, and whether *denormal* numbers are read and written as zeros. Denormal
numbers are too small for full precision, and many processors compute slowly with them.
"""

__all__ = ["flush_bits", "mode_functions", "mode_module"]

# ``mode`` leaves out the error flags: they only record past errors and differ between threads.
_PROCESSORS = {
    "x86_64": """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

define internal i64 @mode() alwaysinline {
  %place = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %place)
  %word = load i32, ptr %place
  %mode = and i32 %word, -64
  %wide = zext i32 %mode to i64
  ret i64 %wide
}

define internal void @set_mode(i64 %wide) {
  %place = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %place)
  %word = load i32, ptr %place
  %met = and i32 %word, 63
  %mode = trunc i64 %wide to i32
  %new = or i32 %mode, %met
  store i32 %new, ptr %place
  call void @llvm.x86.sse.ldmxcsr(ptr %place)
  ret void
}
""",
    "aarch64": """
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)

define internal i64 @mode() alwaysinline {
  %mode = call i64 @llvm.aarch64.get.fpcr()
  ret i64 %mode
}

define internal void @set_mode(i64 %mode) {
  call void @llvm.aarch64.set.fpcr(i64 %mode)
  ret void
}
""",
}
_OTHER = """
define internal i64 @mode() alwaysinline {
  ret i64 0
}

define internal void @set_mode(i64 %mode) {
  ret void
}
"""

_PUBLIC = """
define void @read(ptr %place) {
  %mode = call i64 @mode()
  store i64 %mode, ptr %place
  ret void
}

define void @write(ptr %place) {
  %mode = load i64, ptr %place
  call void @set_mode(i64 %mode)
  ret void
}
"""

_FLUSH = {
    "x86_64": 1 << 15 | 1 << 6,  # FTZ flushes results, DAZ flushes operands
    "aarch64": 1 << 24,  # FZ flushes both
}


def _processor(triple):
    return triple.split("-")[0].replace("arm64", "aarch64")


def flush_bits(triple):
    """The bits of the mode that turn denormal numbers into zeros; 0 for unknown processors.

    >>> hex(flush_bits("x86_64-unknown-linux-gnu"))
    '0x8040'
    """
    return _FLUSH.get(_processor(triple), 0)


def mode_functions(triple):
    """LLVM IR of ``i64 mode()`` and ``void set_mode(i64)``, for the calling thread's mode."""
    return _PROCESSORS.get(_processor(triple), _OTHER)


def mode_module(triple):
    """LLVM IR of ``void read(ptr)`` and ``void write(ptr)``.

    ``read`` stores the calling thread's mode at an address, ``write`` takes the mode from there.
    """
    return mode_functions(triple) + _PUBLIC
