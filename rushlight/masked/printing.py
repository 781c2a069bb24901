"""How a MaskedTensor is printed: its elements, with ``--`` for those that are masked out."""

__all__ = ["text"]

#: The width of a masked-out element.
WIDTH = 8


def text(data, mask):
    """Return what ``repr`` shows of a MaskedTensor."""
    values, counts = data.detach().tolist(), mask.tolist()
    if not data.ndim:
        return f"MaskedTensor({_element(values) if counts else '--'}, {counts})"
    return f"MaskedTensor(\n{_indented(_block(values, counts, data.ndim))}\n)"


def _element(value):
    return f"{value:8.4f}" if isinstance(value, float) else str(value)


def _block(values, counts, ndim):
    """The elements in brackets; each row of a matrix has a line of its own."""
    if ndim == 1:
        shown = [_element(value) for value in values]
        # A masked-out element is as wide as the widest element of its row that counts.
        width = max([len(s) if c else WIDTH for s, c in zip(shown, counts, strict=True)], default=0)
        cells = [s if c else "--".rjust(width) for s, c in zip(shown, counts, strict=True)]
        return f"[{', '.join(cells)}]"
    blocks = [_indented(_block(v, c, ndim - 1)) for v, c in zip(values, counts, strict=True)]
    return "[\n" + ",\n".join(blocks) + "\n]"


def _indented(lines):
    return "\n".join("  " + line for line in lines.split("\n"))
