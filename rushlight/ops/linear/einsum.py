"""Einstein summation: sums of products, written with a letter for each dim."""

import string
from functools import lru_cache
from typing import NamedTuple

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.errors import ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.linear.matmul import bmm, matmul
from rushlight.tensor import Tensor

__all__ = ["einsum"]


@function(method=False, kinds={"equation": "any", "operands": "any"}, in_python=True)
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
    equation, *operands = _arranged(equation, *operands)
    if not operands:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or operands and "
            "lists"
        )
    for x in operands:
        if not isinstance(x, Tensor):
            raise TypeError(f"einsum(): an operand must be Tensor, not {type(x).__name__}")
    if len(operands) == 2 and not mode.intercept:
        found = _one_product(equation, *operands)
        if found is not None:
            return found
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
        kept = [c for c in letters if c in result]
        if kept != result:  # so that the sum lies in memory in the order of the result's dims
            kept = result
            order = [*[letters.index(c) for c in result], *gone]
            found, gone = found.permute(*order), [*range(len(result), len(order))]
        found, letters = found.sum(tuple(gone)), kept
    return found.permute(*[letters.index(c) for c in result]) if result else found


def _arranged(equation, *operands):
    """The arguments as an equation in letters and several operands."""
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return equation, *operands


#: A class or mode that takes ``einsum`` over, such as a trace of torch.fx, sees this form only.
einsum.arrange = _arranged


# One product --------------------------------------------------------------------------------


class _Shape:
    """What ``_parse`` and ``_letter_sizes`` ask of an operand."""

    def __init__(self, shape):
        self._array, self.shape, self.ndim = self, shape, len(shape)


class _Plan(NamedTuple):
    """One product of matrices that computes an equation; None where nothing is to be done.

    Attributes:
        swapped: The second operand comes first.
        dims: For each operand, the order of its dims in the product.
        shapes: For each operand, its shape in the product.
        shape: The shape of the result before its dims are permuted.
        order: The order of the dims in the result.
    """

    swapped: bool
    dims: tuple
    shapes: tuple
    shape: tuple | None
    order: tuple | None


@lru_cache(1024)
def _plan(equation, *given):
    """The ``_Plan`` of an equation for two operands of these shapes.

    None: the equation is no single product, because a letter is repeated, broadcast, or summed in
    one operand alone.
    """
    operands = [_Shape(shape) for shape in given]
    terms, result = _parse(equation, operands)
    sizes = _letter_sizes(equation, terms, operands)
    spread = [tuple([sizes[c] for c in term]) for term in terms] != list(given)
    if spread or any(len(set(term)) < len(term) for term in terms):
        return None
    lx, ly = terms
    swapped = _second_leads(lx, ly, result)
    if swapped:
        lx, ly = ly, lx
    batch = [c for c in result if c in lx and c in ly]
    inner = [c for c in lx if c in ly and c not in result]
    left = [c for c in result if c in lx and c not in ly]
    right = [c for c in result if c in ly and c not in lx]
    orders = [*batch, *left, *inner], [*batch, *inner, *right]
    if len(orders[0]) < len(lx) or len(orders[1]) < len(ly):
        return None
    if not inner or any(sizes[c] == 1 for c in inner):
        return None

    def matrices(*groups):
        """The shape with a dim for each group of letters, or None if each has one letter."""
        single = all(len(g) == 1 for g in groups)
        numbers = [shapes.numel([sizes[c] for c in g]) for g in groups]
        return None if single else (*[sizes[c] for c in batch], *numbers)

    made = batch + left + right
    return _Plan(
        swapped,
        tuple(
            [_unless_sorted([t.index(c) for c in o]) for t, o in zip((lx, ly), orders, strict=True)]
        ),
        (matrices(left, inner), matrices(inner, right)),
        None if len(left) == len(right) == 1 else tuple([sizes[c] for c in made]),
        _unless_sorted([made.index(c) for c in result]),
    )


def _unless_sorted(order):
    return None if order == sorted(order) else tuple(order)


def _one_product(equation, x, y):
    """The result of an equation that is a single product of matrices, else None."""
    try:
        plan = _plan(equation, x._array.shape, y._array.shape)
    except (AttributeError, RuntimeError):  # raised again, with the operands
        return None
    if plan is None:
        return None
    if plan.swapped:
        x, y = y, x
    laid = []
    for t, dims, shape in zip((x, y), plan.dims, plan.shapes, strict=True):
        t = t if dims is None else t.permute(*dims)
        laid.append(t if shape is None else t.reshape(shape))
    found = matmul(*laid)
    found = found if plan.shape is None else found.reshape(plan.shape)
    return found if plan.order is None else found.permute(*plan.order)


# Any equation -------------------------------------------------------------------------------


def _from_lists(arguments):
    """(equation, operands) from operands that are each followed by a list of subscripts."""
    operands, subscripts = [], []
    letters = string.ascii_uppercase + string.ascii_lowercase

    def spell(numbers):
        if any(i is not Ellipsis and not 0 <= i < len(letters) for i in numbers):
            raise ValueError(f"einsum(): a subscript of {numbers} is not in the range [0, 52)")
        return "".join(["..." if i is Ellipsis else letters[i] for i in numbers])

    pairs = len(arguments) // 2
    if not pairs:
        raise ValueError("einsum(): an operand needs a list of its subscripts")
    for x in arguments[: 2 * pairs : 2]:
        if not isinstance(x, Tensor):
            raise TypeError(f"einsum(): an operand must be Tensor, not {type(x).__name__}")
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
    _check_dots(equation)
    for i, c in enumerate(equation.replace("->", "  ").replace("...", "   ")):
        if c not in string.ascii_letters + ", ":
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {i} in the equation string: {c!r} in "
                f"{equation!r}; subscripts must be in [a-zA-Z]"
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


def _check_dots(equation):
    """Raise unless each "." belongs to the one "..." that an operand or the result may have."""
    left, _, right = equation.partition("->")
    parts = [(f"operand {k}", text) for k, text in enumerate(left.split(","))]
    for place, text in [*parts, ("output", right)]:
        if "." in text.replace("...", "", 1):
            reason = "for which an ellipsis was already found"
            if "..." not in text or "." in text.replace("...", ""):
                reason = "that is not part of any ellipsis"
            raise RuntimeError(f"einsum(): found '.' for {place} {reason}: {equation!r}")


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
        for c, n in zip(term, t._array.shape, strict=True):
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
        for c, n in zip(letters, t._array.shape, strict=True) if n == 1 and c not in order
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
        sizes[c] if c in both else n for c, n in zip(letters, t._array.shape, strict=True)
    ])  # fmt: skip
    x, y = spread(x, lx), spread(y, ly)
    count = lambda letters: shapes.numel(sizes[c] for c in letters)
    xs = x.permute(*[lx.index(c) for c in batch + left + inner]) if lx else x
    ys = y.permute(*[ly.index(c) for c in batch + inner + right]) if ly else y
    own = dict(zip(lx, x._array.shape, strict=True))
    own.update(zip(ly, y._array.shape, strict=True))
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
            t = t.squeeze(i) if t._array.shape[i] == 1 else t.sum(i)
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
