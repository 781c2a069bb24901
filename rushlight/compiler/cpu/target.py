"""The machine that kernels are made for: vectors, registers, caches, and LLVM's code generator."""

import ctypes
import os
import platform
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from rushlight.backend.sizes import CHECKS
from rushlight.compiler.cpu.llvm_lock import apart, held, mend_lock

__all__ = ["CHECKED", "PROCESSORS", "Target", "host", "processor"]

#: Whether loads and stores check their addresses first; see ``cpu/checked_access.py``.
CHECKED = "bounds" in CHECKS

_RECENT = 64  # the latest modules, whose machine code is kept in memory
_NEWEST = 22  # the newest version of LLVM whose options are known
_L1, _L2 = 32 << 10, 512 << 10  # assumed bytes, if the system does not tell the caches' sizes
_AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")  # the parts that kernels use
#: The processors that can be named: name → (LLVM's architecture, bytes of a vector register).
PROCESSORS = {
    "x86-64-v2": ("x86_64", 16), "x86-64-v3": ("x86_64", 32), "haswell": ("x86_64", 32),
    "x86-64-v4": ("x86_64", 64), "skylake-avx512": ("x86_64", 64),
    "sapphirerapids": ("x86_64", 64), "znver4": ("x86_64", 64), "znver5": ("x86_64", 64),
    "neoverse-n1": ("aarch64", 16), "apple-m1": ("aarch64", 16),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Target:
    """A processor as the emitters see it.

    Emitters use vectors of the full register width only, so these fields are all that they need to
    know.

    Attributes:
        streams: Whether stores past the caches are the fastest way to write much memory. They are
            on AMD's processors; Intel's have too few buffers for them (measured on Zen 5 and
            Cascade Lake). Other processors were not measured, and False is assumed.
        halves: Whether the processor has instructions that convert between float16 and float32.
            Without them LLVM calls functions that no library of the process contains.
        key: A string of all that the machine code depends on besides the module.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    fma: bool
    l1: int
    l2: int
    streams: bool
    halves: bool
    key: str
    _machines: dict[int, Any] = field(default_factory=dict, repr=False)
    _codes: dict = field(default_factory=dict, repr=False)

    def lanes(self, dtype):
        """How many elements of ``dtype`` fill one vector register.

        >>> host().lanes("float32") == host().vector_bytes // 4
        True
        """
        return self.vector_bytes // np.dtype(dtype).itemsize

    def object_code(self, module, level=2):
        """The machine code of ``module`` (an ``llvmlite.ir.Module`` or its text) as an object file.

        ``level`` is how hard LLVM tries: 1, 2 or 3. A module with a true attribute ``simple``, as
        ``program_module`` sets it, is generated without loop strength reduction. A module with a
        true attribute ``scalar`` has loops without vectors, and gets LLVM's standard passes.

        Kernels for different shapes may have the same text, which is compiled once.

        Raises:
            RuntimeError: the module isn't valid LLVM IR.
        """
        return self._generate(module, level, "emit_object")

    def assembly(self, module, level=2):
        """The machine code of ``module`` as assembly text."""
        return self._generate(module, level, "emit_assembly")

    def optimised(self, module, level=2):
        """The optimised LLVM IR of ``module``, from which the machine code is generated."""
        return self._generate(module, level, None)

    def _generate(self, module, level, form):
        text, simple = str(module), getattr(module, "simple", False)
        optimise = _optimise_loops if getattr(module, "scalar", False) else _optimise
        key = sha256(text.encode()).digest(), level, form, simple, optimise
        found = self._codes.get(key)
        if found is None:
            found = apart(lambda: self._generated(text, level, form, simple, optimise))
            self._codes[key] = found
            while len(self._codes) > _RECENT:
                self._codes.pop(next(iter(self._codes)), None)
        return found

    def _generated(self, text, level, form, simple, optimise):
        import llvmlite.binding as llvm

        machine = self._machine(level)
        # The module has a context of its own, so that its types and constants are freed with it.
        with llvm.create_context() as context:
            parsed = llvm.parse_assembly(text, context)
            try:
                parsed.triple = self.triple
                parsed.data_layout = str(machine.target_data)
                parsed.verify()
                optimise(parsed, machine, level)
                if form is None:
                    return str(parsed)
                with _without_reduction() if simple else nullcontext():
                    return getattr(machine, form)(parsed)
            finally:
                parsed.close()

    def _machine(self, level):
        if level not in self._machines:
            import llvmlite.binding as llvm

            self._machines[level] = llvm.Target.from_triple(self.triple).create_target_machine(
                cpu=self.cpu, features=self.features, opt=level, reloc="pic", codemodel="small"
            )
        return self._machines[level]


@contextmanager
def _without_reduction():
    """Generate machine code without loop strength reduction.

    LLVM's pass takes half of the time for kernels with many addresses in a loop. The option holds
    for the whole process, so that the lock keeps other users of llvmlite (numba) out meanwhile.
    LLVM ends the process if it does not know an option, so only known versions get this one.
    """
    import llvmlite.binding as llvm

    with held() as known:
        if not known or llvm.llvm_version_info[0] > _NEWEST:
            yield
            return
        llvm.set_option("rushlight", "-disable-lsr=true")
        try:
            yield
        finally:
            llvm.set_option("rushlight", "-disable-lsr=false")


def _optimise(module, machine, level):
    """Inline the functions that are marked ``alwaysinline``, and clean up.

    Kernels already have explicit vectors, and loop invariants stand outside the loops. LLVM's
    standard passes would therefore gain nothing (measured), and they take as long as generating the
    machine code.
    """
    import llvmlite.binding as llvm

    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(level))
    whole = llvm.create_new_module_pass_manager()
    whole.add_always_inliner_pass()
    whole.add_global_dead_code_eliminate_pass()
    whole.add_post_order_function_attributes_pass()  # finds nounwind: no tables for exceptions
    whole.run(module, builder)
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    if level > 2:
        passes.add_instruction_combine_pass()
    passes.add_new_gvn_pass()
    passes.add_dead_code_elimination_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)


def _optimise_loops(module, machine, level):
    """Run LLVM's standard passes, which find vectors for plain loops."""
    import llvmlite.binding as llvm

    options = llvm.create_pipeline_tuning_options(level)
    options.loop_vectorization = options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


@cache
def host():
    """The machine that runs this process; if ``RUSHLIGHT_CPU`` is set, the processor it names.

    Raises:
        ImportError: llvmlite is missing.
    """
    return apart(_this_machine)


def _this_machine():
    import llvmlite.binding as llvm

    mend_lock()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    named = os.environ.get("RUSHLIGHT_CPU")
    if named:
        return processor(named, llvm.get_process_triple())
    triple = llvm.get_process_triple()
    cpu = llvm.get_host_cpu_name()
    has = _features(llvm)
    vector_bytes, registers = _vectors(triple, has)
    if vector_bytes == 64:
        # LLVM prefers half-width registers for some processors; kernels use the full width.
        has["prefer-256-bit"] = False
    features = ",".join(("+" if on else "-") + name for name, on in sorted(has.items()))
    fma = has.get("fma", False) or not _is_x86(triple)
    halves = has.get("f16c", False) or _is_arm64(triple)
    return _target(triple, cpu, features, vector_bytes, registers, fma, halves)


def processor(name, triple=None):
    """The target for a processor among ``PROCESSORS``.

    Whether this machine can run its code is not checked. ``triple`` names the system; the default
    is Linux.

    Raises:
        ValueError: there is no such processor, or not of the triple's architecture.
    """
    architecture, vector_bytes = PROCESSORS.get(name, (None, 0))
    triple = triple or f"{architecture}-unknown-linux-gnu"
    if architecture is None or _is_x86(triple) != (architecture == "x86_64"):
        raise ValueError(f"no processor {name!r} for {triple}; there are {', '.join(PROCESSORS)}")
    wide = ("avx2", "f16c", "fma")
    has = {16: (), 32: wide, 64: (*wide, *_AVX512)}[vector_bytes]
    features = ",".join("+" + feature for feature in has)
    if vector_bytes == 64:
        features += ",-prefer-256-bit"
    registers = 32 if vector_bytes == 64 or architecture == "aarch64" else 16
    more = bool(has) or architecture == "aarch64"
    return _target(triple, name, features, vector_bytes, registers, fma=more, halves=more)


def _target(triple, cpu, features, vector_bytes, registers, fma, halves):
    import llvmlite.binding as llvm

    version = ".".join(map(str, llvm.llvm_version_info))
    l1, l2 = _caches()
    return Target(
        triple=triple,
        cpu=cpu,
        features=features,
        vector_bytes=vector_bytes,
        registers=registers,
        fma=fma,
        l1=l1,
        l2=l2,
        streams=cpu.startswith("znver"),
        halves=halves,
        key=f"llvm {version} {triple} {cpu} {features} {l1} {l2} {','.join(CHECKS)}",
    )


def _features(llvm) -> dict[str, bool]:
    try:
        return dict(llvm.get_host_cpu_features())
    except RuntimeError:  # LLVM can't ask this system
        return {}


def _is_x86(triple):
    return triple.split("-")[0] in ("x86_64", "amd64", "i686", "i386")


def _is_arm64(triple):
    return triple.split("-")[0] in ("aarch64", "arm64")


def _vectors(triple, has):
    """The bytes of a vector register and how many registers there are."""
    if not _is_x86(triple):
        return 16, 32
    if all(has.get(name) for name in _AVX512):
        return 64, 32
    if has.get("avx2") and has.get("fma"):
        return 32, 16
    return 16, 16


def _caches():
    """The bytes of a core's first-level data cache and of its second-level cache."""
    try:
        if sys.platform == "linux":
            sizes = _linux_caches()
        elif sys.platform == "darwin":
            sizes = _darwin_caches()
        else:
            sizes = {}
    except (OSError, ValueError, AttributeError):
        sizes = {}
    return sizes.get(1) or _L1, sizes.get(2) or _L2


def _linux_caches():
    sizes = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            sizes[int((index / "level").read_text())] = int(size.rstrip("K")) << 10
    return sizes


def _darwin_caches():
    ask = ctypes.CDLL(None).sysctlbyname
    performance = "hw.perflevel0." if platform.machine() == "arm64" else "hw."
    sizes = {}
    for level, name in ((1, "l1dcachesize"), (2, "l2cachesize")):
        value, length = ctypes.c_int64(0), ctypes.c_size_t(8)
        if ask((performance + name).encode(), ctypes.byref(value), ctypes.byref(length), None, 0):
            continue
        sizes[level] = value.value
    return sizes
