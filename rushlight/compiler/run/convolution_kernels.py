"""Convolutions of eager mode, and gradients of them and of pools, for any number of images.

The last batch of a data loader is often smaller than the others, so the number of images is an
argument of the code. How the work is cut still depends on it: code is made for one, for a few and
for many images. Which of these serves a call depends only on the call. A pool's images have one
channel each.
"""

import ctypes
from dataclasses import replace
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.codegen.frame import entry, storing
from rushlight.compiler.codegen.loop import address as place
from rushlight.compiler.codegen.memory import load as load_element
from rushlight.compiler.codegen.scope import I64, KERNEL, POINTER, Loop, i64
from rushlight.compiler.codegen.value import INT, Value, splat
from rushlight.compiler.cpu import convolution, pooling
from rushlight.compiler.cpu.checked_access import instrument
from rushlight.compiler.cpu.contractions import serves
from rushlight.compiler.cpu.kernel_sequence import PARALLEL
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import CHECKED, host
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.compiler.run import bounds_report, cache, denormals, threads
from rushlight.compiler.run.handlers import made
from rushlight.compiler.run.native_program import aligned
from rushlight.ops.core.inference import infer
from rushlight.threads import get_num_threads

__all__ = ["Images", "images_of", "planned_images"]

#: The places, behind the memories in the kernels' ``args``, of the plan's counts, of the address of
#: ``parallel``, of the number of chunks of each kernel, of the address of the sizes, and of the
#: addresses of the innermost loop and of the kernel that packs. ``_LENGTH`` is the number of all.
_COUNTS, _PARALLEL, _CHUNKS, _SIZES, _LENGTH = 8, 15, 16, 19, 22
_LARGE = 32 << 20  # temporaries of more bytes are freed after each call
_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
_BYTE, _POSITION = np.dtype(np.uint8), np.dtype(np.int32)
#: The code for many shapes: key → its library.
_libraries: dict = {}
#: If code for one shape is faster, so many calls use the code for many shapes before it is made.
#: The results of both are the same, bit by bit.
_CALLS = 16
_FEW, _MANY = 4, 32  # numbers of images for which code for a few and for many is planned


def planned_images(count):
    """The number of images for which the code that serves ``count`` images is planned."""
    return count if count < 2 else _FEW if count < 2 * _FEW else _MANY


def images_of(op):
    """The positions of the inputs that are images."""
    if op.role == "pooling":
        return range(len(op.inputs))
    return (0, 1) if op.form == "weight_grad" else (0,)


class Images:
    """An operation on images that are alike: dim 0 of these inputs counts the images."""

    @denormals.kept()
    def __init__(self, op, inputs, params):
        """Compile for arrays like ``inputs``, of any number of images for which this serves."""
        self.form = op.form
        count = planned_images(len(inputs[0]))
        own = images_of(op)
        ins = [
            x if x is None else Abstract((count, *x.shape[1:]) if k in own else x.shape, x.dtype)
            for k, x in enumerate(inputs)
        ]
        out, *_ = infer(op, tuple(ins), params, Abstract)
        if not prod(out.shape) or not serves(Equation(op, tuple(ins), params, [out])):
            raise NotImplementedError(f"{op.name} has no kernel for {ins}")
        self.shape, self.dtype, self.count = out.shape, out.dtype, count
        self.emitter: Any = pooling if op.role == "pooling" else convolution
        self.operands = len(ins) if self.emitter is pooling else 2
        self.biased = len([x for x in ins if x is not None]) > self.operands
        found = self.emitter.describe(op.form, ins[: self.operands], out.shape, params)
        self.description = replace(found, counts_at=_COUNTS if count > 1 else None)
        self.calls = 0  # so many calls are left until the code is exchanged; 0: it never is
        opened = None
        if self.emitter is convolution:
            self.description = replace(self.description, flat=True)
            opened = self._opened()
        self.code = _Code(self, self._planned(opened))

    def _opened(self):
        """The description of code for many shapes; None if the call uses code for its shape."""
        d = self.description
        if not convolution.serves_many_shapes(d, host()):
            return None
        if convolution.gains_by_own_code(d):
            if _is_kept(self._key(self._planned())):
                return None
            self.calls = _CALLS
        return replace(d, counts_at=_COUNTS, sizes_at=_SIZES)

    def _planned(self, description=None):
        return self.emitter.plan(description or self.description, host(), "kernel")

    def _key(self, plan):
        if plan.sizes is not None:
            return f"images 2 {self.biased} of many shapes {plan.sizes.key}"
        return f"images 2 {self.biased} {plan.description!r}"

    def _module(self, plan):
        module, d = ir.Module("images"), plan.description
        self.emitter.emit(module, plan, self._sink(plan))
        _write_run(module, plan.kernels)
        at = self.operands + len(plan.temporaries)
        more = [at + 1] if self.biased else []
        results = [at, self.operands] if self.form == "maxima" else [at]
        _write_loop(module, plan.kernels, [*range(self.operands), *more, *results])
        module.simple = self.emitter is convolution and convolution.is_simple(d, host())
        return module

    def _sink(self, plan):
        """The sink that adds the bias, if there is one, and stores the result."""
        d = plan.description
        at = self.operands + len(plan.temporaries)
        steps = tuple([prod(d.shape[k + 1 :]) for k in range(len(d.shape))])
        sizes = plan.sizes

        def sink(b, args, indices, value, mask):
            store = storing(at, self.dtype, steps if sizes is None else sizes.steps(b))
            if self.biased:
                channel = Value(b, indices[1], INT)
                bias = place(b, entry(b, args, at + 1), channel, d.dtype.itemsize)
                value = value + splat(load_element(b, bias, d.dtype), value.lanes)
            store(b, args, indices, value, mask)

        return sink

    def __call__(self, arrays):
        """The results for ``arrays`` in C order, in a list; ``maxima`` gives the positions, too.

        A call takes the state away and gives it back at its end. So calls in other threads, or in
        a signal's handler, use states of their own, and a state that is not whole is not used.
        """
        if self.calls > 0:
            self.calls -= 1
            if self.calls <= 0:  # such calls are frequent, so they get code of their own
                self.code = self._own()
        code, count = self.code, len(arrays[0])
        if self.form == "weight_grad":  # an array of its own becomes a leaf's gradient as it is
            out = np.empty(shape := self.shape, self.dtype)
        else:
            out = aligned(Abstract(shape := (count, *self.shape[1:]), self.dtype))
        try:
            state = code.states.pop()
        except IndexError:
            state = None
        if state is None or state.count != count:
            state = State(self.emitter, code, count)
        n, temporaries = self.operands, state.temporaries
        if self.form == "maxima":
            temporaries = [aligned(Abstract(shape, _POSITION))]
        memories = [*arrays[:n], *temporaries, out, *arrays[n:]]
        state.args[: len(memories)] = [*map(address, memories)]
        if code.run(state, memories):
            threads.raise_error()
        if state.small and not code.states:
            code.states.append(state)
        return [out, *temporaries] if self.form == "maxima" else [out]

    def loop(self, count):
        """A call for ``count`` images as a loop with the parameters of NumPy's: (address, data).

        The operands are those of a call, without None, and its result. The data is an array that
        must live, as must the state that comes with both. None: threads share such calls, or the
        call needs much memory.
        """
        if self.calls > 0:  # calls that are replayed are frequent
            self.calls, self.code = 0, self._own()
        code = self.code
        state = State(self.emitter, code, count)
        if not state.small or (max(state.chunks) > 1 and get_num_threads() > 1):
            return None
        scratch = aligned(Abstract((max([k.scratch for k in code.plan.kernels]),), _BYTE))
        data = np.array([address(scratch), *state.args], np.int64)
        for k, temporary in enumerate(state.temporaries):
            data[1 + self.operands + k] = address(temporary)
        return code.library.address("loop"), data, (code, state, scratch)

    @denormals.kept()
    def _own(self):
        """Code for exactly this shape. If it cannot be made, that of many shapes stays."""
        return made(lambda: _Code(self, self._planned()), self.code)


class _Code:
    """The code of a plan, with the states of its calls."""

    def __init__(self, images, plan):
        self.plan, self.count = plan, images.count
        self.states: list = []  # one, or none while a call uses it
        self.parts: list = []  # the code of many shapes that is called by its address
        self.library: Any = None
        key, module = images._key(plan), lambda: images._module(plan)
        if plan.sizes is None:
            self.library = _loaded(key, module, ("run", "loop"))
        else:
            self.library = _shared(key, module, ("run", "loop"))
            self.parts = [_shared(*part) for part in images.emitter.parts(plan)]
        self.function = _FUNCTION(self.library.address("run"))
        threads.reserve(max([k.scratch for k in plan.kernels], default=0))

    def run(self, state, memories):
        if not CHECKED:
            return self.function(state.table)
        found = bounds_report.arrays([*memories, *([] if state.sizes is None else [state.sizes])])
        return bounds_report.watched(found, lambda: self.function(state.table))


class State:
    """What a call for ``count`` images needs besides the operands and the result."""

    def __init__(self, emitter, code, count):
        plan = code.plan
        if plan.description.counts_at is not None and count != code.count:
            plan = emitter.resized(plan, count)
        self.sizes = None if plan.sizes is None else plan.sizes.memory
        self.count = count
        self.temporaries = [aligned(Abstract((n,), _BYTE)) for n in plan.temporaries]
        self.small = sum(plan.temporaries) <= _LARGE
        self.args = (ctypes.c_int64 * _LENGTH)()
        self.args[_COUNTS : _COUNTS + len(plan.counts)] = plan.counts
        self.args[_PARALLEL] = threads.parallel()
        self.chunks = [k.chunks for k in plan.kernels]
        self.args[_CHUNKS : _CHUNKS + len(self.chunks)] = self.chunks
        if self.sizes is not None:
            parts = [part.address("part") for part in code.parts]
            self.args[_SIZES : _SIZES + 1 + len(parts)] = [address(self.sizes), *parts]
        self.table = ctypes.addressof(self.args)


def _is_kept(key):
    """Whether an earlier process has kept the code under ``key``."""
    return cache.get(_name(key)) is not None


def _name(key):
    return "images " + sha256(key.encode()).hexdigest()


def _loaded(key, module, without=()):
    """The library of a module, of which some functions need no checks of their addresses."""

    def made():
        return instrument(module(), without) if CHECKED else module()

    return load(cache.object_code(_name(key), made))


def _shared(key, module, without=()):
    """The library of code for many shapes, which exists once."""
    found = _libraries.get(key)
    if found is None:
        found = _libraries[key] = _loaded(key, module, without)
    return found


def _write_loop(module, kernels, order):
    """Write ``loop``, which runs all chunks of the kernels on this thread; see ``Images.loop``.

    The data are the address of the scratch memory and the kernels' ``args``, in which ``order`` has
    the places of the operands.
    """
    loop = ir.Function(module, ir.FunctionType(I64, [I64] * 4), "loop")
    b = ir.IRBuilder(loop.append_basic_block("entry"))
    word = lambda base, k: b.gep(base, [i64(k)], source_etype=I64)
    given, data = b.inttoptr(loop.args[0], POINTER), b.inttoptr(loop.args[3], POINTER)
    args, scratch = word(data, 1), b.inttoptr(b.load(data, typ=I64), POINTER)
    for k, at in enumerate(order):
        b.store(b.load(word(given, k), typ=I64), word(args, at))
    for k, launch in enumerate(kernels):
        kernel = _kernel(module, launch, b, args)
        turns = Loop(b, i64(0), b.load(word(args, _CHUNKS + k), typ=I64))
        turns.b.call(kernel, [args, turns.i, scratch])
        turns.close()
    b.ret(i64(0))


def _kernel(module, launch, b, args):
    """The function of a kernel; that which packs for many shapes is known by its address."""
    found = module.globals.get(launch.name)
    if found is not None:
        return found
    at = b.gep(args, [i64(_SIZES + 2)], source_etype=I64)
    return b.inttoptr(b.load(at, typ=I64), KERNEL.as_pointer())


def _write_run(module, kernels):
    """Write ``i64 run(ptr args)``, which runs the kernels; 1: a signal's handler raised."""
    function = ir.Function(module, ir.FunctionType(I64, [POINTER]), "run")
    args, nothing = function.args[0], ir.Constant(POINTER, None)
    b = ir.IRBuilder(function.append_basic_block())
    number = lambda k: b.load(b.gep(args, [i64(k)], source_etype=I64), typ=I64)
    parallel = b.inttoptr(number(_PARALLEL), PARALLEL.as_pointer())
    for k, launch in enumerate(kernels):
        chunks = number(_CHUNKS + k)
        kernel = _kernel(module, launch, b, args)
        alone = b.icmp_signed("==", chunks, i64(1)) if not launch.scratch else ir.IntType(1)(0)
        with b.if_else(alone) as (plain, shared):
            with plain:
                b.call(kernel, [args, i64(0), nothing])
            with shared:
                stopped = b.call(parallel, [b.bitcast(kernel, POINTER), args, chunks, nothing])
                with b.if_then(b.icmp_signed("!=", stopped, i64(0)), likely=False):
                    b.ret(i64(1))
    b.ret(i64(0))
