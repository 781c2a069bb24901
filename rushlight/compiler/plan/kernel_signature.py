"""When two kernels have the same code: their loops, nodes and addresses must be equal.

Which memory they work on does not matter.
"""

from rushlight.compiler.ir.abstract import Abstract, name_of
from rushlight.compiler.plan.kernel import Scatter

__all__ = ["signature"]


def signature(loops):
    """A text that is equal for two loop kernels exactly if their code is equal."""
    names: dict = {}
    for v in (*loops.rows, *loops.columns):
        names.setdefault(v, f"v{len(names)}:{v.extent}")
    if loops.vector is not None:
        names.setdefault(loops.vector, f"v{len(names)}:{loops.vector.extent}")
    rows = [names[v] for v in loops.rows]
    columns = [names[v] for v in loops.columns]
    shape = (rows, columns, names.get(loops.vector), loops.across, loops.lanes, loops.pieces,
             names.get(loops.tile), [loops.streamed.get(id(s)) for s in loops.stores])  # fmt: skip
    return repr((shape, described(loops.stores, loops.nodes, names)))


def described(stores, nodes, names, size=int, operand=repr):
    """Nodes and stores as nested tuples of plain values.

    Args:
        stores, nodes: Those of a kernel.
        names: Variable → the text that stands for it.
        size: ``size(n)`` stands for an extent, a stride or an offset ``n``.
        operand: ``operand(x)`` stands for an operand that is no value.
    """
    number = {id(n): i for i, n in enumerate(nodes)}
    lines = [(type(n).__name__, n.dtype.str, _own(n, names, size, operand),
              [number[id(c)] for c in n.operands]) for n in nodes]  # fmt: skip
    ends = [(s.arg, _address(s.address, names, size), number[id(s.node)], s.dtype.str,
             name_of(s.dtype),
             (number[id(s.where)], size(s.stride), s.joins) if type(s) is Scatter else None)
            for s in stores]  # fmt: skip
    return lines, ends


def _own(node, names, size, operand):
    """The attributes of a node except its operands, as plain values."""
    found = []
    for name in type(node).__slots__:
        value = getattr(node, name)
        if name == "address":
            found.append(_address(value, names, size))
        elif name == "equation":
            ins = value.ins[0] if value.op.variadic else value.ins
            found.append((value.op.name, [_spec(v, operand) for v in ins],
                          [(k, _spec(v)) for k, v in value.params.items()]))  # fmt: skip
        elif name in ("size", "stride"):
            found.append(size(value))
        elif name not in ("operands", "dtype"):
            found.append(repr(value))
    return name_of(node.dtype), found


def _spec(value, other=repr):
    is_value = isinstance(value, Abstract)
    return (name_of(value.dtype), value.shape == ()) if is_value else other(value)


def _address(affine, names, size):
    terms = sorted([(names[v], c) for v, c in affine.terms.items()])
    return size(affine.offset), [(name, size(c)) for name, c in terms]
