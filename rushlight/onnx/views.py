"""The rules for views. In ONNX a view becomes a node that copies."""

from rushlight.onnx.rules import rule

__all__: list[str] = []

_LAST = (1 << 63) - 1


@rule("view", "reshape", "reshape_alias", "squeeze", "squeeze_dim", "squeeze_dims", "unsqueeze")
def _reshape(b, e):
    shape = e.outs[0].shape
    zero = 1 if 0 in shape else None  # without allowzero a 0 means "the size of the input"
    return b.node("Reshape", b.name(e.ins[0]), b.vector(shape, infer=True), allowzero=zero)


@rule("expand")
def _expand(b, e):
    return b.node("Expand", b.name(e.ins[0]), b.vector(e.outs[0].shape))


@rule("transpose", "t")
def _transpose(b, e):
    order = list(range(len(e.outs[0].shape)))
    if len(order) < 2:
        return b.name(e.ins[0])
    i, j = (e.params["dim0"], e.params["dim1"]) if e.params else (0, 1)
    order[i], order[j] = order[j], order[i]
    return b.node("Transpose", b.name(e.ins[0]), perm=order)


@rule("permute")
def _permute(b, e):
    return b.node("Transpose", b.name(e.ins[0]), perm=list(e.params["dims"]))


@rule(
    "alias_index", "select_index", "slice_index", "split_part", "split_sizes_part", "unbind_part",
    "unsqueeze_index",
)  # fmt: skip
def _index(b, e):
    """Translate ``x[index]`` for an index of whole numbers, slices, None and ``...``."""
    name = b.name(e.ins[0])
    cuts: list = []
    gone: list = []
    new: list = []
    axis = 0
    for i in _full(e.params["index"], len(b.shape(e.ins[0]))):
        if i is None:
            new.append(axis + len(new) - len(gone))
            continue
        if not isinstance(i, slice):
            gone.append(axis)
            i = slice(i, _LAST if i == -1 else i + 1)
        if i != slice(None):
            cuts.append((*_ends(i), axis, i.step or 1))
        axis += 1
    if cuts:
        begins, ends, axes, steps = zip(*cuts, strict=True)
        places = b.vector(begins), b.vector(ends), b.ints(axes), b.ints(steps)
        name = b.node("Slice", name, *places)
    if gone:
        name = b.node("Squeeze", name, b.ints(gone))
    return b.node("Unsqueeze", name, b.ints(new)) if new else name


def _full(index, ndim):
    """Convert an index to a list in which full slices replace ``...``."""
    index = list(index) if isinstance(index, tuple) else [index]
    dots = [k for k, i in enumerate(index) if i is Ellipsis]
    if dots:
        rest = ndim - len([i for i in index if i is not None and i is not Ellipsis])
        index[dots[0] : dots[0] + 1] = [slice(None)] * rest
    return index


def _ends(i):
    """The begin and end of a slice; an open begin or end becomes the number that ONNX uses."""
    back = i.step is not None and i.step < 0
    begin = (_LAST if back else 0) if i.start is None else i.start
    end = (-_LAST - 1 if back else _LAST) if i.stop is None else i.stop
    return begin, end
