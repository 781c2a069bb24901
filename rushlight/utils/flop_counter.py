"""``FlopCounterMode``: the floating-point operations of matrix products, forward and backward."""

from collections import defaultdict
from math import prod
from typing import Any

import rushlight
from rushlight.autograd import mode
from rushlight.library.aten import packet
from rushlight.nn.modules import module as _modules
from rushlight.utils._python_dispatch import TorchDispatchMode

__all__ = ["FlopCounterMode", "register_flop_formula"]

#: Packet of an operation → function of its operands and ``out_val`` that gives a number.
flop_registry: dict = {}


def register_flop_formula(targets, get_raw=False):
    """State how many floating-point operations an operation takes.

    Args:
        targets: A packet such as ``torch.ops.aten.mm``, or several.
        get_raw: The formula is given tensors and not their shapes.

    Returns:
        A decorator of the formula, a function of the operands, or of their shapes, and ``out_val``
        or ``out_shape``.

    >>> import rushlight as torch
    >>> from rushlight.utils.flop_counter import register_flop_formula
    >>> @register_flop_formula(torch.ops.aten.erfinv)
    ... def erfinv_flop(x_shape, *args, out_shape=None, **kwargs):
    ...     return 10 * x_shape.numel()
    """

    def register(formula):
        def raw(*args, out_val=None, **kwargs):
            shapes = [_shape(a) for a in args]
            return formula(*shapes, out_shape=_shape(out_val), **kwargs)

        for target in targets if isinstance(targets, (list, tuple)) else (targets,):
            flop_registry[target] = formula if get_raw else raw
        return formula

    return register


def _shape(x):
    if isinstance(x, (list, tuple)):
        return type(x)([_shape(part) for part in x])
    return x.shape if isinstance(x, rushlight.Tensor) else x


def _formula(*names):
    """Register a formula for operations of rushlight."""

    def register(formula):
        return register_flop_formula([found for n in names if (found := packet(n))])(formula)

    return register


@_formula("mm", "bmm", "mv", "dot")
def mm_flop(a_shape, b_shape, *args, out_shape=None, **kwargs):
    """2·M·N·K for each product of an (M, K) and a (K, N) matrix."""
    return 2 * prod(out_shape) * a_shape[-1]


@_formula("addmm", "baddbmm")
def addmm_flop(self_shape, a_shape, b_shape, *args, out_shape=None, **kwargs):
    """That of the product; the sum is not counted."""
    return mm_flop(a_shape, b_shape, out_shape=out_shape)


@_formula("linear", "linear_nd", "linear_unbiased", "linear_unbiased_nd")
def linear_flop(*shapes, out_shape=None, **kwargs):
    """That of the product; ``shapes`` are those of the bias, if any, the input and the weight."""
    return 2 * prod(out_shape) * shapes[-1][-1]


@_formula("convolution")
def conv_flop(x_shape, w_shape, *args, out_shape=None, **kwargs):
    """2·(size of the output)·(input channels of a group)·(size of the kernel)."""
    return 2 * prod(out_shape) * prod(w_shape[1:])


@_formula("conv_transpose")
def conv_transpose_flop(x_shape, w_shape, *args, out_shape=None, **kwargs):
    """2·(size of the input)·(output channels of a group)·(size of the kernel)."""
    return 2 * prod(x_shape) * prod(w_shape[1:])


@_formula("convolution_input_grad")
def conv_input_grad_flop(g_shape, w_shape, *args, out_shape=None, **kwargs):
    """As many as the convolution whose gradient it is."""
    return 2 * prod(g_shape) * prod(w_shape[1:])


@_formula("convolution_weight_grad")
def conv_weight_grad_flop(g_shape, x_shape, *args, out_shape=None, **kwargs):
    """As many as the convolution whose gradient it is."""
    return 2 * prod(g_shape) * prod(out_shape[1:])


def _sdpa_shapes(query_shape, key_shape, value_shape):
    *batch, queries, width = query_shape
    return prod(batch), queries, width, key_shape[-2], value_shape[-1]


@_formula("attention")
def sdpa_flop(query_shape, key_shape, value_shape, *args, out_shape=None, **kwargs):
    """Two products: the scores, and the weighted sum of the values."""
    n, queries, width, keys, values = _sdpa_shapes(query_shape, key_shape, value_shape)
    return 2 * n * queries * keys * (width + values)


@_formula("attention_backward")
def sdpa_backward_flop(
    g_shape, query_shape, key_shape, value_shape, *args, out_shape=None, **kwargs
):
    """Five products: the scores again, and the gradients of scores, values, queries and keys."""
    n, queries, width, keys, values = _sdpa_shapes(query_shape, key_shape, value_shape)
    return 2 * n * queries * keys * (3 * width + 2 * values)


class FlopCounterMode(TorchDispatchMode):
    """A context that counts the floating-point operations of products and convolutions.

    A multiplication and an addition count as two. Other operations are not counted, and recurrent
    layers are not, either.

    Args:
        mods: Accepted without effect: all modules are told apart.
        depth: How many levels of modules the table shows.
        display: Print a table at the end.
        custom_mapping: Dict: packet of an operation → formula of its operands and ``out_shape``.

    >>> import rushlight as torch
    >>> from rushlight.utils.flop_counter import FlopCounterMode
    >>> with FlopCounterMode(display=False) as counter:
    ...     out = torch.nn.Linear(3, 4)(torch.ones(2, 3))
    >>> counter.get_total_flops()
    48
    """

    def __init__(self, mods=None, depth=2, display=True, custom_mapping=None):
        super().__init__()
        self.depth, self.display = depth, display
        self.flop_counts: Any = defaultdict(lambda: defaultdict(int))
        self.flop_registry = dict(flop_registry)
        for target, formula in (custom_mapping or {}).items():
            raw = getattr(formula, "_get_raw", False)
            self.flop_registry[target] = formula if raw else _of_shapes(formula)
        self._names: dict = {}
        self._parents: list = []
        self._of_node: Any = ()
        self._handles: list = []

    def get_total_flops(self):
        """Return the number of floating-point operations so far.

        Returns:
            An int.
        """
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self):
        """Return the numbers by module and operation.

        Returns:
            Dict: name of a module ("Global" for all) → dict: packet of an operation → number.
        """
        return {k: dict(v) for k, v in self.flop_counts.items()}

    def get_table(self, depth=None):
        """Return the numbers as a table.

        Args:
            depth: How many levels of modules it shows. Default: that of the mode.

        Returns:
            A string.
        """
        depth = self.depth if depth is None else depth
        total = max(self.get_total_flops(), 1)
        rows = []
        for name in sorted(self.flop_counts):
            if name == "Global" or name.count(".") + 1 > depth:
                continue
            counts = self.flop_counts[name]
            rows.append((name, sum(counts.values())))
            rows += [(f" - {target}", n) for target, n in counts.items()]
        if not rows:
            rows = [("Global", self.get_total_flops())]
            rows += [(f" - {target}", n) for target, n in self.flop_counts["Global"].items()]
        lines: list = [("Module", "FLOP", "% Total")]
        lines += [(name, _short(n), f"{100 * n / total:.2f}%") for name, n in rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, tuple(["-" * w for w in widths]))
        return "\n".join(
            [
                f"{a.ljust(widths[0])}  {b.rjust(widths[1])}  {c.rjust(widths[2])}"
                for a, b, c in lines
            ]
        )

    def __enter__(self):
        self.flop_counts.clear()
        self._handles = [
            _modules.register_module_forward_pre_hook(self._begin),
            _modules.register_module_forward_hook(self._end, always_call=True),
        ]
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()
        if self.display:
            print(self.get_table())

    def _begin(self, module, args):
        name = self._names.setdefault(id(module), type(module).__name__)
        for key, child in module.named_children():
            self._names[id(child)] = f"{name}.{key}"
        self._parents.append(name)

    def _end(self, module, args, result):
        self._parents.pop()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run an operation and count it; see ``TorchDispatchMode``."""
        out = func(*args, **(kwargs or {}))
        backward = mode.state.in_rule and not self._parents
        parents = self._of_node if backward else tuple(dict.fromkeys(self._parents))
        for x in out if isinstance(out, (list, tuple)) else (out,):
            node = getattr(x, "grad_fn", None)
            if node is not None and not backward:
                node.register_prehook(lambda grads, parents=parents: self._enter_node(parents))
        formula = self.flop_registry.get(func._overloadpacket)
        if formula is not None:
            count = formula(*args, **(kwargs or {}), out_val=out)
            for name in ("Global", *parents):
                self.flop_counts[name][func._overloadpacket] += count
        return out

    def _enter_node(self, parents):
        self._of_node = parents


def _of_shapes(formula):
    def raw(*args, out_val=None, **kwargs):
        return formula(*[_shape(a) for a in args], out_shape=_shape(out_val), **kwargs)

    return raw


def _short(n):
    """A number with a suffix: 43008 → ``"43.008K"``."""
    if n < 1000:
        return str(n)
    power = min((len(str(n)) - 1) // 3, 4)
    return f"{n / 1000**power:.3f}{' KMBT'[power].strip()}"
