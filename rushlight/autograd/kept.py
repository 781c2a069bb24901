"""What a custom Function keeps of the tensors that its ``ctx`` saves."""

from rushlight.autograd.saved import Packed
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import detached
from rushlight.errors import GraphError
from rushlight.handled import is_handled, keep
from rushlight.tensor import revived

__all__ = ["kept"]


def kept(tensor, results, hooks):
    """``tensor`` in the form in which ctx keeps it.

    Hooks never pack an output, because the packed output would hold its own node.
    """
    if hasattr(tensor, "stored"):
        return _SavedComposite(tensor, hooks)
    if hooks is None or any(tensor is o for o in results):
        return _Saved(tensor, results)
    return _PackedSaved(tensor, hooks)


class _Saved:
    """A saved tensor, kept without a reference to the tensor object.

    If an output is saved, a reference to it would be a cycle, because the output holds its node.
    """

    __slots__ = ("_array", "cell", "clock", "index", "node")

    def __init__(self, tensor, outputs):
        refresh(tensor)
        self._array = keep(tensor._array)
        self.cell = tensor.cell
        self.clock = tensor.cell[0]
        # A tensor that is two outputs has the node of the last one.
        places = [i for i, o in enumerate(outputs) if o is tensor]
        self.index = places[-1] if places else None
        self.node = tensor.node if self.index is None else None

    def tensor(self, owner):
        if self.cell[0] != self.clock:
            raise GraphError(
                "one of the variables needed for gradient computation has been modified by an "
                f"inplace operation: {owner.name()} saved a tensor {tuple(self._array.shape)} that "
                f"was written afterwards and is now at version {self.cell[1]}. Save a clone()."
            )
        t = revived(self._array)
        t.cell = self.cell
        if self.index is None:
            t.node = self.node
        elif self.index < len(owner.output_nodes):
            t.node = owner.output_nodes[self.index]()
        return t


class _PackedSaved:
    """A saved tensor that ``saved_tensors_hooks`` packed."""

    __slots__ = ("node", "packed")

    def __init__(self, tensor, hooks):
        bare = tensor.detach() if is_handled(tensor) else detached(tensor)
        self.packed = Packed(bare, hooks)
        self.node = tensor.node

    def tensor(self, owner):
        t = revived(self.packed.tensor()._array)
        t.node = self.node
        return t


class _SavedComposite:
    """A saved sparse or nested tensor, whose values are kept as a tensor is."""

    __slots__ = ("frame", "values")

    def __init__(self, tensor, hooks):
        self.frame = tensor.detach()
        self.values = kept(tensor.stored, (), hooks)

    def tensor(self, owner):
        return self.frame.with_values(self.values.tensor(owner))
