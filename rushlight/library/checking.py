"""``torch.library.opcheck``: whether an operator keeps what its registrations promise."""

from rushlight.library.custom import CustomOpDef
from rushlight.library.fake import run_fake
from rushlight.library.operator import OpOverload, OpOverloadPacket
from rushlight.library.registering import operator_of
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_map

__all__ = ["OpCheckError", "opcheck"]


class OpCheckError(Exception):
    """An operator does not keep what its registrations promise."""


def opcheck(
    op, args, kwargs=None, *, test_utils=None, raise_exception=True, atol=None, rtol=None
):  # fmt: skip
    """Test an operator's registrations on example arguments.

    Args:
        op: An operator: what ``custom_op`` made, an OpOverload, or a packet.
        args: Tuple of the positional arguments.
        kwargs: Dict of the keyword arguments. Default: none.
        test_utils: The tests to run. "test_schema": the operator writes only into the arguments
            that its schema names. "test_autograd_registration": its gradient rule is registered.
            "test_faketensor": its fake gives the shapes and dtypes of its results.
            "test_aot_dispatch_dynamic": it is compiled, and results and gradients are the same.
            Default: all of them.
        raise_exception: Raise the first failure.
        atol, rtol: Tolerances of the comparison of compiled results. Default: those of
            ``torch.testing.assert_close``.

    Returns:
        Dict: the name of the test → "SUCCESS", or the exception.

    Raises:
        OpCheckError: A test failed.

    >>> import rushlight as torch
    >>> @torch.library.custom_op("docs::plus", mutates_args=())
    ... def plus(x: torch.Tensor) -> torch.Tensor:
    ...     return x + 1
    >>> torch.library.opcheck(plus, (torch.ones(1),), test_utils="test_schema")
    {'test_schema': 'SUCCESS'}
    """
    if not isinstance(op, (CustomOpDef, OpOverload, OpOverloadPacket)):
        raise ValueError(
            f"opcheck(op, ...): op must be instance of torch._ops.OpOverload or CustomOpDef, got "
            f"{type(op)}"
        )
    names = list(_TESTS) if test_utils is None else test_utils
    names = [names] if isinstance(names, str) else names
    unknown = {*names} - {*_TESTS}
    if unknown:
        raise ValueError(
            f"opcheck(op, ..., test_utils={names}): expected a subset of {list(_TESTS)}"
        )
    found: dict = {}
    for name in names:
        try:
            _TESTS[name](operator_of(op), args, kwargs or {}, {"atol": atol, "rtol": rtol})
        except Exception as error:
            if raise_exception:
                raise OpCheckError(f"opcheck(op, ...): {name} failed with {error}") from error
            found[name] = error
        else:
            found[name] = "SUCCESS"
    return found


def _copied(tree):
    def copy(x):
        if not isinstance(x, Tensor):
            return x
        return x.detach().clone().requires_grad_(x.requires_grad)

    return tree_map(copy, tree)


def _tensors(tree):
    return [x for x in tree_flatten(tree)[0] if isinstance(x, Tensor)]


def _test_schema(op, args, kwargs, tolerances):
    from rushlight.testing import assert_close

    given, named = _copied((args, kwargs))
    op(*given, **named)
    given, named = op._schema.bind(given, named)
    before, before_named = op._schema.bind(args, kwargs)
    for i, a in enumerate(op._schema.arguments):
        after = named[a.name] if a.kwarg_only else given[i]
        was = before_named[a.name] if a.kwarg_only else before[i]
        for x, y in zip(_tensors((after,)), _tensors((was,)), strict=True):
            if a.is_write:
                continue
            try:
                assert_close(x, y, atol=0, rtol=0, equal_nan=True)
            except AssertionError:
                raise RuntimeError(
                    f"Argument {a.name} is not defined as mutable but was mutated"
                ) from None


def _test_autograd(op, args, kwargs, tolerances):
    differentiable = any(
        x.is_floating_point() and x.requires_grad for x in _tensors((args, kwargs))
    )
    outs = _tensors((op(*_copied(args), **_copied(kwargs)),)) if differentiable else []
    if outs and not op.has_rule and not any(o.requires_grad for o in outs):
        raise RuntimeError(
            f"{op} has results without gradients for arguments that require them: use "
            "torch.library.register_autograd"
        )


def _test_fake(op, args, kwargs, tolerances):
    if op.fake is None:
        if op.has_rule:
            raise RuntimeError(
                f"There was no fake impl registered for <CustomOpDef({op.name()})>. This is "
                "necessary for torch.compile/export/fx tracing to work. Please use "
                f"`{op._opname}.register_fake` to add an fake impl."
            )
        return
    given, named = op._schema.bind(_copied(args), _copied(kwargs))
    found, dynamic = run_fake(op, given, named)
    real = op(*_copied(args), **_copied(kwargs))
    pairs = _tensors((found,)), _tensors((real,))
    if len(pairs[0]) != len(pairs[1]):
        raise AssertionError(f"the fake gives {len(pairs[0])} tensors, {op} gives {len(pairs[1])}")
    for fake, x in zip(*pairs, strict=True):
        start = (
            f"When comparing the output of {op} on FakeTensor and concrete Tensors, found "
            "mismatched tensor metadata: "
        )
        if fake.dtype != x.dtype:
            raise AssertionError(f"{start}Dtypes {x.dtype} and {fake.dtype} are not equal!")
        if fake.ndim != x.ndim or not (dynamic or fake.shape == x.shape):
            raise AssertionError(f"{start}Shapes {x.shape} and {fake.shape} are not equal!")
        if not dynamic and fake.stride() != x.stride():
            raise AssertionError(f"{start}Strides {x.stride()} and {fake.stride()} are not equal!")


def _test_compiled(op, args, kwargs, tolerances):
    import warnings

    import rushlight as torch
    from rushlight.testing import assert_close

    def run(call):
        given, named = _copied((args, kwargs))
        outs = _tensors((call(*given, **named),))
        leaves = [x for x in _tensors((given, named)) if x.requires_grad]
        wanted = [o for o in outs if o.requires_grad]
        grads = torch.autograd.grad(
            [o.sum() for o in wanted], leaves, allow_unused=True
        ) if wanted and leaves else ()  # fmt: skip
        return outs, [g for g in grads if g is not None], _tensors((given, named))

    eager = run(op)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of eager calls, which are right as well
        compiled = run(torch.compile(op))
    for theirs, ours in zip(eager, compiled, strict=True):
        assert_close(ours, theirs, **tolerances, equal_nan=True)


_TESTS = {
    "test_schema": _test_schema,
    "test_autograd_registration": _test_autograd,
    "test_faketensor": _test_fake,
    "test_aot_dispatch_dynamic": _test_compiled,
}
