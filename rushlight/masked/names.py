"""The functions that a MaskedTensor knows, by what they do with the data and the mask."""

__all__ = [
    "ANSWERS", "BINARY", "COMPARISONS", "CONVERSIONS", "DEFAULTS", "MOVES", "OPERATORS",
    "PROPERTIES", "REDUCTIONS", "SIGNS", "UNARY",
]  # fmt: skip

#: The data alone answers.
ANSWERS = [
    "device", "dim", "dtype", "element_size", "grad_fn", "is_complex", "is_contiguous",
    "is_floating_point", "is_leaf", "is_signed", "itemsize", "layout", "ndim", "ndimension",
    "nelement", "numel", "requires_grad", "shape", "size", "stride",
]  # fmt: skip
#: The data changes, and the mask stays.
UNARY = [
    "abs", "absolute", "acos", "arccos", "acosh", "arccosh", "angle", "asin", "arcsin", "asinh",
    "arcsinh", "atan", "arctan", "atanh", "arctanh", "bitwise_not", "ceil", "clamp", "clip",
    "conj_physical", "cos", "cosh", "deg2rad", "digamma", "erf", "erfc", "erfinv", "exp",
    "exp2", "expm1", "fix", "floor", "frac", "lgamma", "log", "log10", "log1p", "log2", "logit",
    "i0", "isnan", "nan_to_num", "neg", "negative", "positive", "pow", "rad2deg", "reciprocal",
    "round", "rsqrt", "sigmoid", "sign", "sgn", "signbit", "sin", "sinc", "sinh", "sqrt",
    "square", "tan", "tanh", "trunc",
]  # fmt: skip
#: The same, with any arguments.
CONVERSIONS = [
    "bool", "char", "clone", "contiguous", "double", "float", "half", "int", "long",
    "ones_like", "short", "to", "type", "zeros_like",
]  # fmt: skip
#: The operands' masks must match.
BINARY = [
    "add", "atan2", "arctan2", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift",
    "bitwise_right_shift", "div", "divide", "eq", "floor_divide", "fmax", "fmin", "fmod", "ge",
    "greater", "greater_equal", "gt", "le", "less", "less_equal", "logaddexp", "logaddexp2",
    "lt", "maximum", "minimum", "mul", "multiply", "ne", "nextafter", "not_equal", "remainder",
    "sub", "subtract", "true_divide",
]  # fmt: skip
#: The data and the mask move together.
MOVES = [
    "__getitem__", "cat", "chunk", "concat", "detach", "expand", "expand_as", "flatten", "hstack",
    "index_select", "moveaxis", "movedim", "narrow", "permute", "reshape", "reshape_as",
    "select", "split", "squeeze", "stack", "swapaxes", "swapdims", "t", "tile", "transpose",
    "unbind", "unflatten", "unfold", "unsqueeze", "view", "view_as", "vstack",
]  # fmt: skip
#: The same, without a call.
PROPERTIES = ["T", "mT"]
#: Only the elements that count are reduced.
REDUCTIONS = [
    "all", "amax", "amin", "argmax", "argmin", "mean", "norm", "prod", "std", "sum", "var",
]  # fmt: skip
#: Python's binary operators, with a reflected form and one that writes.
OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide",
    "mod": "remainder", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}  # fmt: skip
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]
#: Python's operators of one tensor.
SIGNS = {"neg": "neg", "abs": "abs", "invert": "bitwise_not", "pow": "pow", "pos": "positive"}
#: PyTorch refuses these parameters unless they have their default.
DEFAULTS = {"alpha": 1, "rounding_mode": None, "decimals": 0, "out": None}
