"""One step of a recorded call: an operation on abstract values."""

__all__ = ["Equation"]


class Equation:
    """``outs = op(*ins, **params)``.

    Each of ``ins`` is an abstract value, a number or None. A variadic operation (such as ``cat``)
    has a list of abstract values as its first input.

    ``tracked``: False if the results have no history although gradients are on when the equation is
    run again. Only ``vmap`` runs equations so.
    """

    __slots__ = ("ins", "op", "outs", "params", "tracked")

    def __init__(self, op, ins, params, outs):
        self.op, self.ins, self.params, self.outs = op, ins, params, outs
        self.tracked = True

    def __repr__(self):
        params = "".join([f", {k}={v!r}" for k, v in self.params.items()])
        outs, ins = (", ".join(map(repr, values)) for values in (self.outs, self.ins))
        return f"{outs} = {self.op.name}({ins}{params})"
