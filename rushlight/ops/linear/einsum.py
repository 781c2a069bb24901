"""Einstein summation: sums of products, written with a letter for each dim."""

import string

from rushlight import shapes
from rushlight.errors import ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.linear.matmul import bmm

__all__ = ["einsum"]


@function(method=False)
def einsum(equation, *operands):
    """Sum products over the dims that ``equation`` names, for example ``"bij,bjk->bik"``.

    Lists of numbers may replace the letters: ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.

    Args:
        equation: A letter for each dim of each operand, with commas between the operands. The
            letters of the result follow after ``->``; all other letters are summed. Without
            ``->`` the result has the letters that occur once, sorted. ``...`` stands for dims
            that broadcast.
        *operands: The tensors, as many as in ``equation``: several arguments, or one list.

    Returns:
        Tensor with a dim for each letter of the result.

    Raises:
        RuntimeError: The letters and the dims do not agree.

    >>> import rushlight as torch
    >>> torch.einsum("ij,ij->i", torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not operands:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or operands and "
            "lists"
        )
    terms, result = _parse(equation, operands)
    sizes = _letter_sizes(equation, terms, operands)
    found, letters = operands[0], terms[0]
    found, letters = _diagonals(found, letters)
    for k in range(1, len(operands)):
        other, more = _diagonals(operands[k], terms[k])
        order = list(dict.fromkeys([*result, *[c for term in terms[k + 1 :] for c in term]]))
        pair = [(found, letters), (other, more)]
        if _second_leads(letters, more, order):
            pair.reverse()
        found, letters = _pair(*pair[0], *pair[1], order, sizes)
    gone = [i for i, c in enumerate(letters) if c not in result]
    if gone:
        found = found.sum(tuple(gone))
        letters = [c for c in letters if c in result]
    return found.permute(*[letters.index(c) for c in result]) if result else found


def _from_lists(arguments):
    operands, subscripts = [], []
    letters = string.ascii_uppercase + string.ascii_lowercase
    spell = lambda s: "".join("..." if i is Ellipsis else letters[i] for i in s)
    pairs = len(arguments) // 2
    for i in range(pairs):
        operands.append(arguments[2 * i])
        subscripts.append(spell(arguments[2 * i + 1]))
    equation = ",".join(subscripts)
    if len(arguments) % 2:
        equation += "->" + spell(arguments[-1])
    return equation, tuple(operands)


def _parse(equation, operands):
    """(a list of letters for each operand, the list for the result).

    ``...`` becomes the letters ·0, ·1 and so on.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        amount = "fewer" if len(inputs) > len(operands) else "more"
        raise RuntimeError(
            f"einsum(): {amount} operands were provided than specified in the equation "
            f"{equation!r}: {len(operands)} and {len(inputs)}"
        )
    for c in equation.replace("->", "").replace("...", ""):
        if c not in string.ascii_letters + ", ":
            raise RuntimeError(
                f"einsum(): invalid subscript given: {c!r} in {equation!r}; subscripts are letters"
            )
    extra = 0
    for text, t in zip(inputs, operands, strict=True):
        if "..." in text:
            extra = max(extra, t.ndim - len(text.replace("...", "")))
    dots = [f"·{i}" for i in range(extra)]
    terms = [
        _letters(equation, k, text, t, dots)
        for k, (text, t) in enumerate(zip(inputs, operands, strict=True))
    ]
    return terms, _result(equation, right, terms, dots) if arrow else _once(terms, dots)


def _letters(equation, k, text, t, dots):
    """The letters of operand ``k``, written as ``text``. ``dots``: the letters for ``...``."""
    head, ellipsis, tail = text.partition("...")
    have = t.ndim - len(head) - len(tail)
    if have < 0 or (have and not ellipsis):
        raise RuntimeError(
            "einsum(): the number of subscripts in the equation "
            f"({len(head) + len(tail)}) does not match the number of dimensions ({t.ndim}) for "
            f"operand {k} {tuple(t.shape)} of {equation!r}"
        )
    return [*head, *dots[len(dots) - have :], *tail]


def _result(equation, text, terms, dots):
    """The letters of the result, written as ``text``."""
    head, ellipsis, tail = text.partition("...")
    result = [*head, *(dots if ellipsis else ()), *tail]
    unknown = [c for c in head + tail if not any(c in term for term in terms)]
    if unknown or len(set(result)) != len(result):
        raise RuntimeError(
            f"einsum(): output subscript {(unknown or result)[0]} must appear once in the output "
            f"and in some operand: {equation!r}"
        )
    return result


def _once(terms, dots):
    """The result's letters if the equation has no ``->``: all that occur once, sorted."""
    flat = [c for term in terms for c in term]
    return dots + sorted({c for c in flat if flat.count(c) == 1 and c not in dots})


def _letter_sizes(equation, terms, operands):
    sizes: dict = {}
    for term, t in zip(terms, operands, strict=True):
        for c, n in zip(term, t.array.shape, strict=True):
            if sizes.get(c, 1) == 1:
                sizes[c] = n
            elif n not in (1, sizes[c]):
                raise ShapeError(
                    f"einsum(): subscript {c} of {equation!r} has size {n} for operand "
                    f"{tuple(t.shape)} which does not broadcast with previously seen size "
                    f"{sizes[c]}"
                )
    return sizes


def _diagonals(t, letters):
    """Replace the dims of a repeated letter by their diagonal, so that each letter occurs once."""
    letters = list(letters)
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            t = t.diagonal(0, i, j)
            letters = [d for k, d in enumerate(letters) if k not in (i, j)] + [c]
    return t, letters


def _second_leads(lx, ly, order):
    """True if the first letter of ``order`` in only one operand belongs to the second operand."""
    return next((c in ly for c in order if (c in lx) != (c in ly)), False)


def _product(x, lx, y, ly, order):
    """The product of two operands without shared letters to sum over. Its dims are in ``order``."""
    letters = [c for c in order if c in lx or c in ly]
    laid = []
    for t, own in ((x, lx), (y, ly)):
        t = t.permute(*[own.index(c) for c in letters if c in own]) if own else t
        for i, c in enumerate(letters):
            t = t if c in own else t.unsqueeze(i)
        laid.append(t)
    return laid[0] * laid[1], letters


def _pair(x, lx, y, ly, order, sizes):
    """Contract two operands as one batched matrix product. ``order`` has the letters to keep.

    The result's dims are the letters in both operands, then those in the first only, then those in
    the second only, each group in the order of ``order``. If no letter is summed, all dims are in
    the order of ``order``.
    """
    single = [
        c for t, letters in ((x, lx), (y, ly))
        for c, n in zip(letters, t.array.shape, strict=True) if n == 1 and c not in order
    ]  # fmt: skip
    x, lx = _without(x, lx, single)
    y, ly = _without(y, ly, single)
    x, lx = _presum(x, lx, ly, order)
    y, ly = _presum(y, ly, lx, order)
    both = [c for c in lx if c in ly]
    inner = [c for c in both if c not in order]
    if not inner:
        return _product(x, lx, y, ly, order)
    batch = [c for c in order if c in both]
    left = [c for c in order if c in lx and c not in ly]
    right = [c for c in order if c in ly and c not in lx]
    spread = lambda t, letters: t.expand([
        sizes[c] if c in both else n for c, n in zip(letters, t.array.shape, strict=True)
    ])  # fmt: skip
    x, y = spread(x, lx), spread(y, ly)
    count = lambda letters: shapes.numel(sizes[c] for c in letters)
    xs = x.permute(*[lx.index(c) for c in batch + left + inner]) if lx else x
    ys = y.permute(*[ly.index(c) for c in batch + inner + right]) if ly else y
    own = dict(zip(lx, x.array.shape, strict=True))
    own.update(zip(ly, y.array.shape, strict=True))
    xs = xs.reshape(count(batch), shapes.numel(own[c] for c in left), count(inner))
    ys = ys.reshape(count(batch), count(inner), shapes.numel(own[c] for c in right))
    found = bmm(xs, ys).reshape([own[c] for c in batch + left + right])
    return found, batch + left + right


def _without(t, letters, gone):
    """``t`` without the letters ``gone``, whose dims are summed or, at size 1, dropped.

    One operand has size 1 in these dims, so the other can be summed before the product.
    """
    for c in gone:
        if c in letters:
            i = letters.index(c)
            t = t.squeeze(i) if t.array.shape[i] == 1 else t.sum(i)
            letters = [*letters[:i], *letters[i + 1 :]]
    return t, letters


def _presum(t, letters, others, order):
    """``t`` summed over the letters that neither the other operand nor ``order`` has."""
    inner = [c for c in letters if c in others and c not in order]
    kept = [c for c in order if c in letters] + inner
    gone = [c for c in letters if c not in kept]
    if not gone:
        return t, letters
    t = t.permute(*[letters.index(c) for c in kept + gone])
    return t.sum(tuple(range(len(kept), len(letters)))), kept
