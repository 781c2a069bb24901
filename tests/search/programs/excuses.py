"""Where PyTorch's own result is nothing to rely on, so that a difference from it is no fault."""

import re

import numpy as np

# PyTorch's words where it has no kernel, or where only our looking (``.numpy()``) stops it.
MISSING = (
    "not implemented for",
    "not supported",
    "unsupported",
    "Promotion for",
    "storage that is not resizable",
    "must have a last dimension with stride 1",  # the gradient of view_as_real of nothing
    "doesn't match the broadcast shape",  # an ``out`` to resize that is an input, too
)
# PyTorch's words where its gradient divides a number by integers in the dtype of these.
MISSING_BACKWARD = (
    "ZeroTensors are immutable",
    "stride divisible by 2",  # of a tensor without elements
    "result type Float can't be cast to the desired output type",
    "Number of groups to divide channels in must be positive",
    "to have non-zero size for non-batch dimensions",
    "is not implemented",
    "trying to differentiate twice",
    "cannot reshape tensor of 0 elements",
    "pixel_shuffle expects",  # of nothing, which pixel_unshuffle leaves as it is
    "returned an invalid gradient",
    "Expected isFloatingType(grad.scalar_type())",  # where() of a complex and a real number
)
# Lines of which PyTorch saves an operand although their gradients need none of its numbers.
SAVED_IN_VAIN = (
    "scatter_reduce(", "return_indices=True", "F.pad(", "T.complex(", "avg_pool", "_mean(", ".take(",
    "rounding_mode=", "grid_sample(", ".cummin(", ".cummax(",
    "F.conv", "T.lerp(",
)  # fmt: skip
# Lines of which some framework saves the result, or more than the operands.
SAVED = re.compile(
    r"max_pool|attention|sgn\(|_norm\(|_mean\(|prod_?\(|inplace=True"
    r"|\.(r?sqrt|exp|tanh|sigmoid|reciprocal|relu)_\("
)
WRITTEN = re.compile(r"([)\]]?)\.(\w+)_\(")


def overflows(step, want, found):
    """Whether a product is infinite, 0 or infinity times 0, as the order of its factors has it.

    PyTorch's complex 0 ** 0 is such a product; and it divides by a denormal number in its fmod.
    """
    whole = np.isfinite(found) & np.isfinite(want)
    other = bool((np.isnan(found) != np.isnan(want)).any())
    other |= "prod(" in step.text and bool((((found == 0) != (want == 0)) & whole).any())
    return other and (
        "prod(" in step.text
        or "fmod(" in step.text
        or (" ** " in step.text and want.dtype.kind == "c")
    )


def spoils(steps, found, want, again):
    """Whether PyTorch's gradient, of second order where ``again``, is nothing to rely on."""
    uses = lambda *words: any(word in s.text for s in steps for word in words)
    # Its vectors make 0 of the gradient at nan, its numbers nan.
    if uses("logit(0.01)") and np.isnan(found).any():
        return True
    # The gradient of sgn is a zero that stays one where it is multiplied by nan.
    if uses(".sgn()") and np.isnan(found).any():
        return True
    # Its sign of a denormal complex number is infinite, and its slope has few digits near 0.
    if uses("polar(") and (again or not np.isfinite(want).all()):
        return True
    # Of equal operands its terms cancel to the last bit.
    if uses("atan2(") and np.allclose(found, want, rtol=1e-3, atol=1e-6):
        return True
    # It computes trigamma to nine digits, and rounds each step in half precision.
    # The second slope of its sinc is 0 at 0, that of its prelu is the other side's.
    if again and (
        uses("lgamma(", "i0(", "sinc(", "prelu(")
        or (np.isnan(want).any() and want.dtype == "float16")
    ):
        return True
    # It multiplies what is infinite, in half precision soon, by 0.
    if uses("interpolate(", ".norm(3", " ** ") and np.isnan(want).any():
        return True
    # Where a slope is nan, so is that of a later key, whose weight is 0.
    if uses("is_causal=True") and np.isnan(want).any():
        return True
    # Where a factor is 0, it leaves out the later products, whose slope may be nan. The second slope
    # of a product of all is made of such products.
    if uses("prod(" if again else "cumprod(") and np.isnan(found).any():
        return True
    # Outside of the image the slope of a point is 0, which it multiplies.
    if uses("grid_sample(") and np.isnan(want).any():
        return True
    # The terms of a mean of equal operands cancel but for the rounding of each.
    if uses("lerp(") and want.dtype.itemsize == 2:
        return True
    # Near 0 the terms of the slope of sinc are large and cancel.
    if uses("sinc(") and np.allclose(found, want, rtol=1e-3, atol=1e-4):
        return True
    # It rounds the slope to the dtype of another operand.
    return uses("T.addc", ".addc") and np.allclose(found, want, 1e-2, 1e-2, equal_nan=True)


def hides_writes(steps):
    """Whether ``.data`` is written beside lines of which the frameworks save other values.

    Nobody sees such a write, so each framework's gradient is of what it happened to save.
    """
    lines = [s.text for s in steps]
    return any(map(SAVED.search, lines)) and any(".data" in t for t in lines)


def hides_a_running_product(steps, what):
    """Whether ``.data`` may change the result of a ``cumprod``, of which compiled gradients are not.

    ``what``: the difference between eager and compiled.
    """
    lines = "".join([s.text for s in steps])
    return "cumprod" in lines and ".data" in lines and what.startswith("gradient")


EMPTY = re.compile(r"saved '[^']*' \((?:\d+, )*0\b")


def saves_otherwise(ours, theirs, steps, scope):
    """Whether only one framework refuses a write to what it saved; the other does without.

    PyTorch copies batches of several dims where their memory is not that of one dim.
    """
    if (ours is None) == (theirs is None) or "inplace operation" not in f"{ours}{theirs}":
        return False
    if ours is None:  # what is written through a view is another value's copy
        names = [
            name for s in steps for view, name in WRITTEN.findall(s.text)
            if view or scope[s.writes]._is_view()
        ]  # fmt: skip
        return any(f"output 0 of {name}," in str(theirs).lower() for name in names) or any(
            word in s.text for s in steps for word in SAVED_IN_VAIN
        )
    if EMPTY.search(str(ours)):
        return True  # theirs saves nothing where there are no elements
    # Theirs copies operands that rms_norm converts, and saves what cross_entropy makes of its
    # input; ours wants the input itself for a gradient with a graph.
    if "NllLossBackward0 saved 'x'" in str(ours) or any("F.rms_norm(" in s.text for s in steps):
        return True
    # Theirs goes no further with an attention of no queries, ours multiplies nothing. Theirs saves
    # no result of operands whose rows have gaps, for which it takes another way.
    attentions = [s for s in steps if "scaled_dot_product_attention(" in s.text]
    if any(not scope[n].numel() or scope[n].stride()[-1] != 1 for s in attentions for n in s.uses):
        return True
    products = [s for s in steps if " @ " in s.text or "matmul(" in s.text]
    linear = [s for s in steps if "F.linear(" in s.text]
    return any(scope[n].ndim > 3 for s in products for n in s.uses) or any(
        scope[n].ndim > 2 for s in linear for n in s.uses
    )


def lacks(error):
    """Whether PyTorch raised for want of a kernel."""
    return isinstance(error, NotImplementedError) or any(m in str(error) for m in MISSING)
