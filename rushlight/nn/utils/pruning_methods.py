"""Pruning methods: how the mask of a parameter is computed, and the hook that applies the mask.

A pruned module has the parameter as ``<name>_orig`` and the mask as the buffer ``<name>_mask``. A
method is a forward pre-hook of the module, which computes their product.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from numbers import Integral, Real

import rushlight

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured",
    "PruningContainer", "RandomStructured", "RandomUnstructured", "find",
]  # fmt: skip


class BasePruningMethod(ABC):
    """A pruning method: it computes a mask, and is the hook that applies the mask.

    A subclass defines ``compute_mask`` and its ``PRUNING_TYPE``. The type tells which part of an
    already pruned parameter ``compute_mask`` receives: for ``"unstructured"`` the elements that are
    not pruned, for ``"structured"`` the slices along its ``dim`` that are not wholly pruned, for
    ``"global"`` everything.

    >>> import rushlight as torch
    >>> class Negative(torch.nn.utils.prune.BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...     def compute_mask(self, t, default_mask):
    ...         return default_mask * (t >= 0)
    >>> Negative().prune(torch.tensor([1.0, -2.0]))
    tensor([1., -0.])
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module, inputs):
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t, default_mask):
        """Return the mask for the importance scores ``t``; ``default_mask`` is the mask so far."""

    def apply_mask(self, module):
        """Return the parameter of ``module`` times its mask."""
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        return mask.to(dtype=original.dtype) * original

    @classmethod
    def apply(cls, module, name, *args, importance_scores=None, **kwargs):
        """Prune ``module.<name>`` by ``cls(*args, **kwargs)``; earlier prunings stay in force."""
        method = cls(*args, **kwargs)
        method._tensor_name = name
        value = getattr(module, name)
        scores = value if importance_scores is None else importance_scores
        if scores.shape != value.shape:
            raise AssertionError(
                f"prune: importance_scores {tuple(scores.shape)} should have the same shape as "
                f"parameter {name} of {module}: {tuple(value.shape)}"
            )
        key = find(module, name)
        if key is None:
            mask = method.compute_mask(scores, rushlight.ones_like(value))
            del module._parameters[name]
            module.register_parameter(name + "_orig", value)
        else:
            earlier = module._forward_pre_hooks[key]
            if not isinstance(earlier, PruningContainer):
                earlier = PruningContainer(earlier)
            earlier.add_pruning_method(method)
            method = earlier
            before = getattr(module, name + "_mask").detach().clone()
            mask = method.compute_mask(scores, before)
            del module._forward_pre_hooks[key]
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t, default_mask=None, importance_scores=None):
        """Return ``t`` times the mask that this method computes for it."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                f"prune: importance_scores {tuple(scores.shape)} should have the same shape as "
                f"tensor t {tuple(t.shape)}"
            )
        if default_mask is None:
            default_mask = rushlight.ones_like(t)
        return t * self.compute_mask(scores, default_mask=default_mask)

    def remove(self, module):
        """Make the pruned parameter an ordinary parameter; its pruned elements stay 0."""
        name = self._tensor_name
        value = self.apply_mask(module)
        delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        original.data = value.detach()
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


def find(module, name):
    """Return the key of the hook that prunes ``module.<name>``, or None."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return key
    return None


class PruningContainer(BasePruningMethod):
    """Several pruning methods of one parameter, applied one after the other.

    Args:
        *args: The pruning methods: several arguments, or one iterable.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.prune
    >>> layer = P.identity(P.identity(torch.nn.Linear(2, 1), "weight"), "weight")
    >>> [type(m).__name__ for m in next(iter(layer._forward_pre_hooks.values()))]
    ['Identity', 'Identity']
    """

    def __init__(self, *args):
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        methods = args[0] if len(args) == 1 and isinstance(args[0], Iterable) else args
        for method in methods:
            if not self._pruning_methods and isinstance(method, BasePruningMethod):
                self._tensor_name = method._tensor_name
            self.add_pruning_method(method)

    def add_pruning_method(self, method):
        """Add a pruning method, to be applied last.

        Raises:
            TypeError: ``method`` is not a BasePruningMethod.
            ValueError: ``method`` prunes another parameter.
        """
        if method is None:
            return
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self):
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, index):
        return self._pruning_methods[index]

    def compute_mask(self, t, default_mask):
        """Return ``default_mask`` with the last method's mask in the part that the method sees."""
        method, mask = self._pruning_methods[-1], default_mask.to(dtype=t.dtype).clone()
        where = _looked_at(method, mask)
        mask[where] = method.compute_mask(t[where], default_mask=mask[where]).to(mask.dtype)
        return mask


def _looked_at(method, mask):
    """Return the index of the part of a tensor, pruned by ``mask``, that ``method`` sees."""
    if method.PRUNING_TYPE == "unstructured":
        return mask == 1
    if method.PRUNING_TYPE == "global":
        return ...
    if method.PRUNING_TYPE != "structured":
        raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
    if not hasattr(method, "dim"):
        raise AttributeError(
            f"{type(method).__name__}: a structured pruning method must have a dim attribute"
        )
    _validate_pruning_dim(mask, method.dim)
    dim = method.dim % mask.dim()
    left = mask.sum(dim=[d for d in range(mask.dim()) if d != dim]) != 0
    return (slice(None),) * dim + (left,)


# How many ---------------------------------------------------------------------------------


def _validate_pruning_amount_init(amount):
    if not isinstance(amount, Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if float(amount) < 0 or (not isinstance(amount, Integral) and float(amount) > 1):
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
            "integer"
        )


def _validate_pruning_amount(amount, tensor_size):
    """Raise ValueError if ``amount`` is an int above ``tensor_size``."""
    if isinstance(amount, Integral) and amount > tensor_size:
        raise ValueError(
            f"amount={amount} should be smaller than the number of parameters to "
            f"prune={tensor_size}"
        )


def _compute_nparams_toprune(amount, tensor_size):
    """Return ``amount`` if it is a number of elements (an int), or its share of ``tensor_size``."""
    return amount if isinstance(amount, Integral) else round(amount * tensor_size)


def _count(amount, size):
    """Return how many of ``size`` elements or slices to prune."""
    _validate_pruning_amount(amount, size)
    return _compute_nparams_toprune(amount, size)


def _validate_pruning_dim(t, dim):
    if not -t.dim() <= dim < t.dim():
        raise IndexError(f"Invalid index {dim} for tensor of size {tuple(t.shape)}")


def _validate_structured_pruning(t):
    """Raise ValueError if ``t`` has no slices: fewer than 2 dims."""
    if t.dim() <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of "
            f"shape {tuple(t.shape)} with {t.dim()} dims"
        )


def _compute_norm(t, n, dim):
    """Return the norm of order ``n`` of each slice of ``t`` along ``dim``."""
    dim %= t.dim()
    return rushlight.norm(t, p=n, dim=[d for d in range(t.dim()) if d != dim])


def _channels(t, dim):
    """Return the size of the dim along which slices are pruned."""
    _validate_structured_pruning(t)
    _validate_pruning_dim(t, dim)
    return t.shape[dim]


def _only(t, dim, kept, default_mask):
    """Return ``default_mask`` with 0 in all slices along ``dim`` except the slices ``kept``."""
    mask = rushlight.zeros_like(t)
    mask[(slice(None),) * (dim % t.dim()) + (kept,)] = 1
    return mask * default_mask.to(dtype=mask.dtype)


# The methods ------------------------------------------------------------------------------


class Identity(BasePruningMethod):
    """Prunes nothing, but gives the module a mask.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.prune
    >>> P.Identity().prune(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes elements at random.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.prune
    >>> P.RandomUnstructured(3).prune(torch.ones(5)).sum()
    tensor(2.)
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount):
        _validate_pruning_amount_init(amount)
        self.amount = amount

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        n = _count(self.amount, t.nelement())
        if n:
            drawn = rushlight.rand_like(t)
            mask.view(-1)[rushlight.topk(drawn.view(-1), k=n).indices] = 0
        return mask


class L1Unstructured(BasePruningMethod):
    """Prunes the elements with the smallest absolute values.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.prune
    >>> P.L1Unstructured(1).prune(torch.tensor([3.0, -1.0, 2.0]))
    tensor([3., -0., 2.])
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount):
        _validate_pruning_amount_init(amount)
        self.amount = amount

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        n = _count(self.amount, t.nelement())
        if n:
            smallest = rushlight.topk(t.abs().view(-1), k=n, largest=False)
            mask.view(-1)[smallest.indices] = 0
        return mask


class RandomStructured(BasePruningMethod):
    """Prunes slices along a dim, such as channels, at random.

    Args:
        dim: The dim whose slices are pruned. Negative dims count from the end. Default: the last.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.prune
    >>> P.RandomStructured(1, dim=0).prune(torch.ones(3, 2)).sum()
    tensor(4.)
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount, dim=-1):
        _validate_pruning_amount_init(amount)
        self.amount = amount
        self.dim = dim

    def compute_mask(self, t, default_mask):
        channels = _channels(t, self.dim)
        n = _count(self.amount, channels)
        if not n:
            return default_mask
        drawn = rushlight.rand(channels)
        kept = drawn > rushlight.kthvalue(drawn, k=n).values
        return _only(t, self.dim, kept, default_mask)


class LnStructured(BasePruningMethod):
    """Prunes the slices along a dim that have the smallest norms.

    Args:
        dim: The dim whose slices are pruned. Negative dims count from the end. Default: the last.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.prune
    >>> P.LnStructured(1, n=2, dim=0).prune(torch.tensor([[3.0, 4.0], [1.0, 1.0]]))
    tensor([[3., 4.],
            [0., 0.]])
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount, n, dim=-1):
        _validate_pruning_amount_init(amount)
        self.amount = amount
        self.n = n
        self.dim = dim

    def compute_mask(self, t, default_mask):
        channels = _channels(t, self.dim)
        count = _count(self.amount, channels)
        if not count:
            return default_mask
        norms = _compute_norm(t, self.n, self.dim)
        kept = rushlight.topk(norms, k=channels - count, largest=True).indices
        return _only(t, self.dim, kept, default_mask)


class CustomFromMask(BasePruningMethod):
    """Prunes by a given mask.

    Args:
        mask: Tensor of the parameter's shape: 0 for elements that are pruned, otherwise 1.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.prune
    >>> P.CustomFromMask(torch.tensor([1, 0])).prune(torch.tensor([3.0, 4.0]))
    tensor([3., 0.])
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask):
        self.mask = mask

    def compute_mask(self, t, default_mask):
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"custom_from_mask: the mask is {tuple(self.mask.shape)}, the parameter "
                f"{tuple(default_mask.shape)}"
            )
        return default_mask * self.mask.to(dtype=default_mask.dtype)
