"""``torch.library.custom_op``: a Python function becomes an operator."""

from contextlib import contextmanager

from rushlight.library.operator import OpOverload, publish
from rushlight.library.schema import infer_schema, parse_schema

__all__ = ["CustomOpDef", "custom_op", "dispatch_key"]

OPDEFS: dict = {}


def dispatch_key(device_type):
    """The dispatch key of a device type: "cpu" → "CPU"; None or "default" → any device."""
    if device_type in (None, "default"):
        return "CompositeExplicitAutograd"
    if device_type in ("cpu", "cuda", "mps", "xpu", "xla", "hpu", "ipu", "mtia", "meta"):
        return device_type.upper() if device_type != "meta" else "Meta"
    return device_type


def custom_op(
    name, fn=None, /, *, mutates_args, device_types=None, schema=None, tags=None
):  # fmt: skip
    """Make a function an operator, which the framework calls without looking inside.

    The function's operations are not recorded for gradients: ``register_autograd`` gives the
    gradient rule. Inside ``torch.compile`` the function itself is recorded; if it reads values, as
    NumPy does, then the compiled function runs eagerly, with a warning.

    Args:
        name: The qualified name, such as ``"mylib::scale"``.
        fn: The function, with type hints. Default: the result is a decorator.
        mutates_args: The names of the arguments that the function writes, or "unknown".
        device_types: The device types that the function is for. Default: all.
        schema: The schema, such as ``"(Tensor x) -> Tensor"``. Default: that of the type hints.
        tags: Accepted without effect.

    Returns:
        A CustomOpDef, which is called as the function is; or a decorator that makes one.

    Raises:
        ValueError: The schema can't be inferred, or differs from ``mutates_args``.
        RuntimeError: A call does not fit the schema, or a result shares memory with an argument.

    >>> import rushlight as torch
    >>> @torch.library.custom_op("docs::cube", mutates_args=())
    ... def cube(x: torch.Tensor) -> torch.Tensor:
    ...     return torch.from_numpy(x.numpy() ** 3)
    >>> cube.register_autograd(
    ...     lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g,
    ...     setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
    ... )
    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> torch.ops.docs.cube(x).backward()
    >>> x.grad
    tensor([12.])
    """
    if fn is None:
        return lambda f: custom_op(
            name, f, mutates_args=mutates_args, device_types=device_types, schema=schema, tags=tags
        )
    text = infer_schema(fn, mutates_args=mutates_args) if schema is None else schema
    made = CustomOpDef(name, text, fn)
    written = {a.name for a in made._opoverload._schema.arguments if a.is_write}
    if schema is not None and written != set(mutates_args):
        raise ValueError(
            f"Attempted to create a custom op with `mutates_args={mutates_args}` and "
            f"`schema={schema}. The schema suggests that the op mutates {written}which is "
            "different from what was provided to us in `mutates_args`. Please make these "
            "consistent."
        )
    publish(made._opoverload)
    OPDEFS[made._qualname] = made
    made.register_kernel(device_types)(fn)
    return made


class CustomOpDef:
    """An operator that ``custom_op`` made of a function. It is called as the function is.

    Args:
        name: The qualified name.
        schema: The schema without a name.
        fn: The function.

    >>> import rushlight as torch
    >>> @torch.library.custom_op("docs::half", mutates_args=())
    ... def half(x: torch.Tensor) -> torch.Tensor:
    ...     return x / 2
    >>> half, half(torch.ones(1))
    (<CustomOpDef(docs::half)>, tensor([0.5000]))
    """

    def __init__(self, name, schema, fn):
        self._qualname = name
        self._namespace, sep, self._name = name.partition("::")
        if not sep or "::" in self._name or not (self._namespace and self._name):
            raise ValueError(
                f'custom_op: expected a name of the form "namespace::name", but got {name!r}'
            )
        if "." in self._name:
            raise ValueError(
                f"custom_op: the name {name!r} has an overload, which is not supported"
            )
        self._init_fn = fn
        self.__name__, self.__doc__ = self._name, fn.__doc__
        self._opoverload = OpOverload(parse_schema(f"{name}{schema}"), None)
        self._opoverload.has_rule = True
        self._opoverload.checks_memory = not any(r.alias for r in self._opoverload._schema.returns)
        tensors = [a for a in self._opoverload._schema.arguments if a.base == "Tensor"]
        if any(a.kwarg_only for a in tensors):
            raise NotImplementedError(
                "custom_op with kwarg-only Tensor args. Please make your tensors not kwarg-only. "
                f"Got: {self._opoverload._schema}"
            )
        self._disabled: set = set()

    def __repr__(self):
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args, **kwargs):
        return self._opoverload(*args, **kwargs)

    def register_kernel(self, device_types, fn=None, /):
        """Give the operator another function for some device types.

        Args:
            device_types: A device type such as "cpu", several of them, or None for all.
            fn: The function. Default: the result is a decorator.

        Returns:
            ``fn``, or a decorator.

        Raises:
            ValueError: The operator has neither a tensor nor a ``device`` among its arguments.
        """
        if fn is None:
            return lambda f: self.register_kernel(device_types, f)
        kinds = (
            [device_types]
            if device_types is None or isinstance(device_types, str)
            else device_types
        )
        arguments = self._opoverload._schema.arguments
        if device_types is not None and not any(a.base in ("Tensor", "Device") for a in arguments):
            raise ValueError(
                "Functions without tensor inputs are required to have a `device: torch.device` "
                "argument"
            )
        for kind in kinds:

            def kernel(*args, kind=kind, **kwargs):
                return (self._init_fn if kind in self._disabled else fn)(*args, **kwargs)

            self._opoverload.kernels[dispatch_key(kind)] = kernel
        return fn

    @contextmanager
    def set_kernel_enabled(self, device_type, enabled=True):
        """A context in which the kernel of a device type is used, or the operator's own function.

        Args:
            device_type: The device type, such as "cpu".
            enabled: Whether its kernel is used.

        Returns:
            A context manager.
        """
        before = set(self._disabled)
        (self._disabled.discard if enabled else self._disabled.add)(device_type)
        try:
            yield
        finally:
            self._disabled = before

    def register_fake(self, fn, /):
        """State the shapes and dtypes of the results: ``fn`` returns tensors with any values.

        ``torch.library.opcheck`` compares them with the operator's own results, and ``vmap`` takes
        the shapes from them.

        Args:
            fn: A function of the operator's arguments.

        Returns:
            ``fn``.
        """
        self._opoverload.fake = fn
        return fn

    def register_autograd(self, backward, /, *, setup_context=None):
        """State the gradient rule.

        Args:
            backward: ``backward(ctx, *grads)`` gives the gradient of each argument, or None.
            setup_context: ``setup_context(ctx, inputs, output)`` saves what backward needs. If the
                operator has keyword-only arguments, it also takes ``keyword_only_inputs``, a dict.

        Raises:
            RuntimeError: The operator writes into its arguments.
        """
        schema = self._opoverload._schema
        if schema.is_mutable:
            raise RuntimeError(
                f"Cannot register autograd formula for non-functional operator {self} with schema "
                f"{schema}. Please create a functional operator and register an autograd formula "
                "for that."
            )
        attach_autograd(self._opoverload, backward, setup_context)

    def register_vmap(self, func=None):
        """State how ``vmap`` runs the operator on batches.

        Args:
            func: ``func(info, in_dims, *args)`` returns the results for a batch and their batch
                dims. Default: the result is a decorator.

        Returns:
            ``func``, or a decorator.
        """
        if func is None:
            return self.register_vmap
        self._opoverload.batching = func
        self._opoverload._function = None
        return func

    def register_torch_dispatch(self, torch_dispatch_class, fn=None, /):
        """Compute the operator by another function inside a ``TorchDispatchMode``.

        Args:
            torch_dispatch_class: The class of the mode.
            fn: ``fn(mode, func, types, args, kwargs)``. Default: the result is a decorator.

        Returns:
            ``fn``, or a decorator.
        """
        if fn is None:
            return lambda f: self.register_torch_dispatch(torch_dispatch_class, f)
        self._opoverload.dispatch_rules[torch_dispatch_class] = fn
        return fn

    def register_autocast(self, device_type, cast_inputs):
        """Cast floating-point arguments to a dtype inside autocast regions.

        Args:
            device_type: "cpu"; "cuda" is remembered without effect.
            cast_inputs: The dtype.

        Raises:
            ValueError: Another device type.
        """
        if device_type not in ("cpu", "cuda"):
            raise ValueError(f"register_autocast: unknown device type {device_type!r}")
        self._opoverload.autocasts[device_type] = cast_inputs


def attach_autograd(op, backward, setup_context):
    """Give an operator a gradient rule."""
    op.backward, op.setup_context, op.has_rule, op._function = backward, setup_context, True, None
