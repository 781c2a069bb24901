"""``torch.compiler``: functions by which users direct the compiler, and marks on functions.

Some marks of PyTorch change how a function is split into graphs. They have no effect here, because
a recording runs all Python code. They are accepted so that existing programs run.
"""

import functools
import types

import numpy as np

from rushlight.autograd import mode
from rushlight.compiler.calls import compiled
from rushlight.tensor import Tensor

__all__ = [
    "allow_in_graph", "assume_constant_result", "config", "cudagraph_mark_step_begin",
    "is_dynamo_compiling", "is_exporting",
    "keep_portable_guards_unsafe", "keep_tensor_guards_unsafe", "load_cache_artifacts",
    "nested_compile_region", "save_cache_artifacts",
    "set_enable_guard_collectives", "set_stance", "skip_all_guards_unsafe",
    "skip_guard_on_all_nn_modules_unsafe", "skip_guard_on_globals_unsafe",
    "skip_guard_on_inbuilt_nn_modules_unsafe", "substitute_in_graph", "wrap_numpy",
]  # fmt: skip

#: Settings that users may assign; nothing reads them.
config = types.SimpleNamespace(
    job_id=None, cache_key_tag="", dynamic_sources="", unbacked_sources="",
    force_disable_caches=False, accumulated_recompile_limit=256,
    allow_unspec_int_on_nn_module=False, assume_static_by_default=True,
    automatic_dynamic_shapes=True, capture_dynamic_output_shape_ops=False,
    capture_scalar_outputs=False, dynamic_shapes=True, enable_cpp_symbolic_shape_guards=False,
    fail_on_recompile_limit_hit=False, log_file_name=None, recompile_limit=8,
    reorderable_logging_functions=set(), skip_tensor_guards_with_matching_dict_tags=True,
    verbose=False, wrap_top_frame=False,
)  # fmt: skip
_STANCES = (
    "default", "force_eager", "eager_on_recompile", "fail_on_recompile", "eager_then_compile",
    "aot_eager_then_compile",
)  # fmt: skip


class set_stance:
    """Set how compiled functions treat their calls; also a context manager and a decorator.

    Args:
        stance: ``"default"``: calls without a program are recorded. ``"force_eager"``: all calls
            run eagerly. ``"eager_on_recompile"``: calls without a program run eagerly.
            ``"fail_on_recompile"``: calls without a program raise. ``"eager_then_compile"`` and
            ``"aot_eager_then_compile"``: the first call of each function runs eagerly.
        skip_guard_eval_unsafe: Accepted without effect: all guards are checked.
        force_backend: Accepted without effect: there is only one backend.

    Raises:
        RuntimeError: ``stance`` is unknown, or not the default together with ``force_backend``, or
            the stance is set inside of a compiled function.

    >>> import rushlight as torch
    >>> f = torch.compile(lambda x: x + 1)
    >>> with torch.compiler.set_stance("force_eager"):
    ...     f(torch.ones(1))
    tensor([2.])
    """

    def __init__(self, stance="default", *, skip_guard_eval_unsafe=False, force_backend=None):
        if stance not in _STANCES:
            raise RuntimeError(
                f"invalid torch.compile stance {stance!r}; it is one of {', '.join(_STANCES)}"
            )
        if force_backend is not None and stance != "default":
            raise RuntimeError("non-default stance cannot have force_backend set")
        mode.refuse_in_trace("the compiler's stance can only be set outside")
        self.stance = stance
        self.before = compiled.take_stance(stance)

    def __enter__(self):
        compiled.take_stance(self.stance)

    def __exit__(self, *exc):
        compiled.take_stance(self.before)

    def __call__(self, function):
        compiled.take_stance(self.before)

        @functools.wraps(function)
        def run(*args, **kwargs):
            with set_stance(self.stance):
                return function(*args, **kwargs)

        return run


# Backends and modes -----------------------------------------------------------------------


def is_dynamo_compiling():
    """Return whether a function is being traced.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.compiler.is_dynamo_compiling()
    False
    """
    return compiled.is_compiling()


def is_exporting():
    """Return whether ``torch.export`` traces a function.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.compiler.is_exporting()
    False
    """
    return compiled.is_compiling() and mode.state.recorder.exporting


def cudagraph_mark_step_begin():
    """Do nothing, because later runs never overwrite the memory of results.

    >>> import rushlight as torch
    >>> torch.compiler.cudagraph_mark_step_begin()
    """


def set_enable_guard_collectives(enabled):
    """Do nothing, because each process decides by itself.

    Args:
        enabled: Accepted without effect.

    Returns:
        False, the previous setting.

    >>> import rushlight as torch
    >>> torch.compiler.set_enable_guard_collectives(True)
    False
    """
    return False


# Marks ------------------------------------------------------------------------------------


def assume_constant_result(fn):
    """Decorate a function so that its result becomes a constant of the program.

    The function runs eagerly while a compiled function is recorded; the recorded program does not
    run it.

    Args:
        fn: A function.

    Returns:
        The decorated function.

    >>> import rushlight as torch
    >>> @torch.compiler.assume_constant_result
    ... def scale():
    ...     return torch.ones(3).sum().item()
    >>> torch.compile(lambda x: x * scale(), fullgraph=True)(torch.ones(1))
    tensor([3.])
    """

    @functools.wraps(fn)
    def constant(*args, **kwargs):
        recorder = mode.state.recorder
        if recorder is None:
            return fn(*args, **kwargs)
        with mode.suspended():
            return recorder.constant(lambda: fn(*args, **kwargs))

    constant.__dict__["_dynamo_marked_constant"] = True
    return constant


def allow_in_graph(fn):
    """Return functions unchanged, because all functions are traced.

    Args:
        fn: A function, or a list of functions.

    Returns:
        ``fn``.

    Raises:
        AssertionError: ``fn`` cannot be called.

    >>> import rushlight as torch
    >>> torch.compiler.allow_in_graph(len)([1, 2])
    2
    """
    for f in fn if isinstance(fn, (list, tuple)) else (fn,):
        if not callable(f):
            raise AssertionError("allow_in_graph expects a callable")
    return fn


def substitute_in_graph(
    original_fn, *, can_constant_fold_through=False, skip_signature_check=False
):
    """Decorate a function that PyTorch would trace in place of ``original_fn``.

    Here a recording can run ``original_fn`` itself, so the decorated function calls it.

    Args:
        original_fn: A function.
        can_constant_fold_through, skip_signature_check: Accepted without effect.

    Returns:
        Decorator.

    Raises:
        TypeError: ``original_fn`` or the decorated object is not a function.

    >>> import rushlight as torch
    >>> @torch.compiler.substitute_in_graph(len)
    ... def length(x):
    ...     return -1
    >>> length([1, 2])
    2
    """
    if not callable(original_fn) or isinstance(original_fn, type):
        kind = original_fn if isinstance(original_fn, type) else type(original_fn)
        raise TypeError(f"substitute_in_graph expects a function but got {kind!r}")

    def decorate(traceable_fn):
        if not callable(traceable_fn):
            raise TypeError(
                f"@substitute_in_graph(...) expects a function but got {type(traceable_fn)!r}"
            )

        @functools.wraps(original_fn)
        def original(*args, **kwargs):
            return original_fn(*args, **kwargs)

        return original

    return decorate


def nested_compile_region(fn=None, *, options=None, max_reuse_entries=8, reuse_hash_fn=None):
    """Return a function unchanged: a region is part of the program around it.

    Args:
        fn: The function. Default: the result is a decorator.
        options, max_reuse_entries, reuse_hash_fn: Accepted without effect.

    Returns:
        ``fn``, or a decorator.

    >>> import rushlight as torch
    >>> torch.compiler.nested_compile_region(len)([1, 2])
    2
    """
    return (lambda f: f) if fn is None else fn


def wrap_numpy(fn):
    """Turn a function of NumPy arrays into a function of tensors.

    It needs tensors' values, so a compiled function that calls it runs eagerly.

    Args:
        fn: A function of arrays, which returns arrays.

    Returns:
        Function of tensors, which returns tensors.

    >>> import numpy, rushlight as torch
    >>> torch.compiler.wrap_numpy(lambda a: numpy.flip(a))(torch.tensor([1, 2]))
    tensor([2, 1])
    """

    @functools.wraps(fn)
    def wrapped(*args, **kwargs):
        args, kwargs = _each(args, Tensor, Tensor.numpy), _each(kwargs, Tensor, Tensor.numpy)
        return _each(fn(*args, **kwargs), (np.ndarray, np.generic), _as_tensor)

    return wrapped


def _as_tensor(array):
    from rushlight.ops.create.from_data import as_tensor

    return as_tensor(np.ascontiguousarray(array).reshape(np.shape(array)))


def _each(tree, kind, change):
    """``tree``, nested lists, tuples and dicts, with ``change`` applied to objects of ``kind``."""
    if isinstance(tree, kind):
        return change(tree)
    if isinstance(tree, dict):
        return {k: _each(v, kind, change) for k, v in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)([_each(v, kind, change) for v in tree])
    return tree


def save_cache_artifacts():
    """Return what ``load_cache_artifacts`` takes: nothing, because kernels are kept on disk.

    Returns:
        None.

    >>> import rushlight as torch
    >>> torch.compiler.save_cache_artifacts() is None
    True
    """


def load_cache_artifacts(serialized_artifacts):
    """Do nothing: kernels are read from the cache on disk.

    Args:
        serialized_artifacts: Ignored.

    Returns:
        None.

    >>> import rushlight as torch
    >>> torch.compiler.load_cache_artifacts(b"")
    """


def _all_kept(guard_entries):
    """Keep all guards: the answer of a filter that PyTorch asks which guards to check.

    Args:
        guard_entries: The guards.

    Returns:
        List of True for each. Nothing asks: all guards are always checked.

    >>> import rushlight as torch
    >>> torch.compiler.skip_guard_on_globals_unsafe([1, 2])
    [True, True]
    """
    return [True for _ in guard_entries]


skip_all_guards_unsafe = skip_guard_on_all_nn_modules_unsafe = _all_kept
skip_guard_on_globals_unsafe = skip_guard_on_inbuilt_nn_modules_unsafe = _all_kept
keep_portable_guards_unsafe = _all_kept


def keep_tensor_guards_unsafe(guard_entries, keep_parameters=False):
    """Keep all guards; see ``skip_guard_on_globals_unsafe``.

    Args:
        guard_entries: The guards.
        keep_parameters: Ignored.

    Returns:
        List of True for each.

    >>> import rushlight as torch
    >>> torch.compiler.keep_tensor_guards_unsafe([1, 2])
    [True, True]
    """
    return _all_kept(guard_entries)
