"""Functions of a score and its position in a matrix of attention scores: applied, and recorded."""

import numpy as np

import rushlight
from rushlight.autograd import grad, mode
from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.ir.scalar_program import ScalarProgram
from rushlight.compiler.plan.scalar_kernel import scalar_kernel
from rushlight.dtype import int64
from rushlight.func.batch_recorder import BatchRecorder
from rushlight.func.batching import record
from rushlight.func.vmap import vmap
from rushlight.ops.core.dispatch import repeat
from rushlight.ops.create.filled import zeros_like
from rushlight.tensor import Tensor, from_array

__all__ = ["over_positions", "recorded", "run"]


def over_positions(rule, *scores, sizes, device):
    """Call ``rule`` for all positions at once.

    Args:
        rule: A function of scalars: one of each tensor in ``scores``, then b, h, q_idx, kv_idx.
        *scores: Tensors of the shape ``sizes``.
        sizes: The numbers of batch entries, heads, queries and keys.
        device: Where the positions are made.

    Returns:
        Tensor of the shape ``sizes``.
    """
    for dim in (3, 2, 1, 0):
        dims = tuple([0 if i == dim else None for i in range(4)])
        rule = vmap(rule, in_dims=(0,) * len(scores) + dims)
    return rule(*scores, *[rushlight.arange(n, device=device) for n in sizes])


def recorded(rule, dtype, sizes):
    """(the ``ScalarProgram`` of ``rule``, the tensors that it captures).

    The program's results are the new score, and its derivative by the old one. None if no kernel
    can compute ``rule``; a call for all positions then tells what is wrong, if anything is.

    Args:
        rule: A function of scalar tensors ``(score, b, h, q_idx, kv_idx)``.
        dtype: The dtype of the score, and of the new one.
        sizes: The numbers of batch entries, heads, queries and keys.
    """
    recorder = BatchRecorder("error")
    sample = lambda dtype: recorder.sample(from_array(np.zeros(1, dtype.numpy)))
    score, positions = sample(dtype).requires_grad_(), [sample(int64) for _ in sizes]

    def both():
        new = rule(score, *positions)
        if not isinstance(new, Tensor) or new.ndim or new.dtype is not dtype:
            return None
        slope = zeros_like(new)
        if new.requires_grad:
            (slope,) = grad(new, score, create_graph=True, allow_unused=True)
        return recorder.value(new), recorder.value(slope)

    with mode.enable_grad():
        try:
            outputs = record(recorder, both)
        except Exception:
            return None
    if outputs is None or recorder.written:  # a program only computes
        return None
    read = {v.id for e in recorder.equations for v in operands(e)} | {v.id for v in outputs}
    outside = [(t, v) for t, v in recorder.outside() if v.id in read]
    bounds = (None, *[(0, n - 1) for n in sizes])
    program = ScalarProgram(
        tuple([recorder.value(t) for t in (score, *positions)]), tuple([v for _, v in outside]),
        recorder.equations, outputs, bounds,
    )  # fmt: skip
    return None if scalar_kernel(program) is None else (program, [t for t, _ in outside])


def run(program, captured):
    """A ``ScalarProgram`` as a function of scalar tensors; ``captured`` are tensors."""

    def call(*scalars):
        values = (*program.inputs, *program.captured)
        known = {v.id: t for v, t in zip(values, (*scalars, *captured), strict=True)}
        get = lambda v: known.get(getattr(v, "id", None), v)
        for e in program.equations:
            ins = [get(v) for v in (e.ins[0] if e.op.variadic else e.ins)]
            params = {k: get(v) for k, v in e.params.items()}
            found = repeat(e.op, (ins,) if e.op.variadic else ins, params)
            found = found if isinstance(found, (tuple, list)) else (found,)
            known.update({v.id: t for v, t in zip(e.outs, found, strict=True)})
        return tuple([get(v) for v in program.outputs])

    return call
