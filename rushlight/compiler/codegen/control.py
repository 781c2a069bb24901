"""Control flow on Values: code that runs only if some lane needs it, and loops.

These functions add basic blocks; afterwards the builder stands in the last of them.
"""

from rushlight.compiler.codegen.memory import reduce
from rushlight.compiler.codegen.value import Value

__all__ = ["repeat_while", "where_any"]


def where_any(condition, values, change):
    """``values``; if the condition holds in any lane, ``change(*values)`` for all lanes."""
    b = condition.b
    before = b.block
    needed, after = b.append_basic_block("needed"), b.append_basic_block("after")
    b.cbranch(reduce(condition, "or").v, needed, after)
    b.position_at_end(needed)
    changed = change(*values)
    end = b.block
    b.branch(after)
    b.position_at_end(after)
    return [_either(b, before, x, end, y) for x, y in zip(values, changed, strict=True)]


def _either(b, before, x, end, y):
    phi = b.phi(x.v.type)
    phi.add_incoming(x.v, before)
    phi.add_incoming(y.v, end)
    return Value(b, phi, x.dtype)


def repeat_while(condition, step, values):
    """``values`` after a loop of ``values = step(*values)``.

    The loop runs while ``condition(*values)``, a bool Value, holds in any lane. ``step`` must leave
    the other lanes unchanged.
    """
    b = values[0].b
    before = b.block
    head, body, done = [b.append_basic_block(name) for name in ("while", "body", "done")]
    b.branch(head)
    b.position_at_end(head)
    phis = [b.phi(x.v.type) for x in values]
    state = [Value(b, phi, x.dtype) for phi, x in zip(phis, values, strict=True)]
    b.cbranch(reduce(condition(*state), "or").v, body, done)
    b.position_at_end(body)
    stepped = step(*state)
    for phi, x, y in zip(phis, values, stepped, strict=True):
        phi.add_incoming(x.v, before)
        phi.add_incoming(y.v, b.block)
    b.branch(head)
    b.position_at_end(done)
    return state
