"""Functions that do one step of an optimizer for lists of tensors, such as ``optim.adam.adam``."""

from inspect import Parameter, Signature

__all__ = ["functional"]

#: Options that a class has as a pair, and a function as two numbers.
_PAIRS = {
    "betas": ("beta1", "beta2"), "etas": ("etaminus", "etaplus"),
    "step_sizes": ("step_size_min", "step_size_max"),
}  # fmt: skip


def functional(cls, lists, flags, options, **constants):
    """The function that does one step of the optimizer ``cls``.

    Args:
        cls: A subclass of ``Elementwise``.
        lists: The names of its lists: parameters, gradients, and a list for each kind of tensor in
            the state. The plural of the tensor's name in the class is the name of its list.
        flags: The names of arguments that have a default.
        options: The names of keyword arguments that have none.
        constants: Options of the class that the function does not have.
    """
    name, names = cls.__name__.lower(), lists.split()
    kind = Parameter.POSITIONAL_OR_KEYWORD
    parameters = [Parameter(x, kind) for x in names]
    parameters += [Parameter(x, kind, default=_default(x)) for x in flags.split()]
    parameters += [Parameter(x, Parameter.KEYWORD_ONLY) for x in options.split()]
    signature, own = Signature(parameters), [*map(_singular, names[2:])]

    def step(*args, **named):
        given = signature.bind(*args, **named)
        given.apply_defaults()
        group = {**constants, **given.arguments}
        params, grads, *state = [group.pop(x) for x in names]
        if group.get("grad_scale") is not None or group.get("found_inf") is not None:
            raise RuntimeError(f"{name}: grad_scale and found_inf are not supported; scale grads")
        for pair, numbers in _PAIRS.items():
            if numbers[0] in group:
                group[pair] = tuple(group[x] for x in numbers)
        _step(cls, group, params, grads, dict(zip(own, state, strict=True)))

    step.__name__ = step.__qualname__ = name
    step.__module__ = cls.__module__
    step.__signature__ = signature  # type: ignore[attr-defined]
    step.__doc__ = f"""One step of ``{cls.__name__}``, whose options it has, for lists of tensors.

    The parameters and the state are changed in place. Lists of state that the options do not need
    may be empty. ``foreach``, ``fused`` and ``capturable`` change nothing.

    Raises:
        RuntimeError: ``grad_scale`` or ``found_inf`` is given, or a leaf requires grad outside of
            ``no_grad()``.
    """
    return step


def _step(cls, group, params, grads, columns):
    """Update ``params``. ``columns``: name of state tensors → their list."""
    optimizer = cls.__new__(cls)
    optimizer._counters = {}
    names = optimizer._names(group)
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        own = {x: column[i] for x, column in columns.items() if i < len(column)}
        optimizer.state, optimizer._gradient = {p: own}, {p: g}.__getitem__
        count = optimizer._complete(p, names)
        if g.is_sparse:
            optimizer._update_rows(p, g, group)
        else:
            optimizer._step_tensors(group, [(p, count)])
        for x, column in columns.items():
            if i < len(column):
                column[i] = own[x]  # SGD begins with None


def _default(name):
    return None if name in ("foreach", "fused", "grad_scale", "found_inf") else False


def _singular(name):
    """The name that a tensor of the list ``name`` has in the state: "sum" for "state_sums"."""
    return name.removeprefix("state_").removesuffix("_list").removesuffix("s")
