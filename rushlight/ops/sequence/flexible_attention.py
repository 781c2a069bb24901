"""Attention whose scores a recorded function changes, as one operation of a trace.

A compiled call records ``flex_attention`` by it, so that a kernel changes each score where it
computes it, and never holds all scores at once. The operands are a list: query, key, value, with
``block`` a table of bools, and the tensors that the function reads besides. ``block`` has the
numbers of queries and keys in a block; the table, ``(B or 1, H or 1, rows, columns)``, is False for
blocks of which the function hides everything.

Source: Dong et al. 2024, "Flex Attention: A Programming Model for Generating Optimized Attention
Kernels".
"""

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import total
from rushlight.ops.linear.matmul import matmul
from rushlight.ops.reduce.softmax import softmax
from rushlight.ops.sequence.attention import through_tensors

__all__ = ["changed_attention"]

INF = float("inf")


def _weights(query, key, captured, scale, program):
    """(the weights of the keys, the slopes of the changed scores)."""
    from rushlight.func.positions import over_positions, run

    scores = matmul(query * scale, key.mT)
    changed = over_positions(
        run(program, captured), scores, sizes=scores.shape, device=query.device
    )
    scores, slopes = changed
    # As in ``attention``: the weights of a query whose keys are all hidden are 0.
    blind = (scores == -INF).all(-1, keepdim=True)
    return softmax(scores.masked_fill(blind, 0), -1).masked_fill(blind, 0), slopes


def _attended(query, key, value, *rest, scale, program, block):
    captured = rest if block is None else rest[1:]
    return matmul(_weights(query, key, captured, scale, program)[0], value)


def _slopes(g, query, key, value, *rest, scale, program, block):
    """The gradients of query, key and value."""
    captured = rest if block is None else rest[1:]
    weights, slopes = _weights(query, key, captured, scale, program)
    met = matmul(g, value.mT) * weights
    to_scores = (met - weights * total(met, (3,))) * slopes * scale
    return matmul(to_scores, key), matmul(to_scores.mT, query), matmul(weights.mT, g)


@kernel(public=False, method=False, name="flex_attention", primitive="attention result",
        shape=lambda tensors, **_: (*tensors[0].shape[:-1], tensors[2].shape[-1]))  # fmt: skip
def changed_attention(xp, tensors, *, scale, program, block):
    """softmax(program(query @ keyᵀ · scale)) @ value.

    ``program`` is a ``ScalarProgram`` of a score and its batch entry, head, query and key. Its
    results are the new score and the derivative of this by the old one.
    """
    return through_tensors(_attended, tensors, scale=scale, program=program, block=block)


@kernel(public=False, method=False, name="flex_attention_backward", primitive="attention grad",
        shape=lambda tensors, **_: [t.shape for t in tensors[1:4]])  # fmt: skip
def _back(xp, tensors, *, scale, program, block):
    """The gradients of query, key and value from the gradient of the result, the first tensor."""
    return through_tensors(_slopes, tensors, scale=scale, program=program, block=block)


changed_attention.lower(lambda tensors, scale, program, block: (
    _attended(*tensors, scale=scale, program=program, block=block)
))  # fmt: skip
_back.lower(lambda tensors, scale, program, block: (
    _slopes(*tensors, scale=scale, program=program, block=block)
))  # fmt: skip


def _rule(g, tensors, scale, program, block):
    again = type(g) is not ndarray and mode.records()  # to be differentiated again
    options = {"scale": scale, "program": program, "block": block}
    found = _slopes(g, *tensors, **options) if again else _back([g, *tensors], **options)
    return [*found, *[None] * (len(tensors) - 3)]


changed_attention.grad(tensors=_rule)
