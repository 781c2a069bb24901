"""Policies: which modules inside of a model are wrapped by themselves."""

import contextlib
from abc import ABC, abstractmethod

from rushlight.nn.modules.container import ModuleDict, ModuleList

__all__ = [
    "CustomPolicy", "ModuleWrapPolicy", "always_wrap_policy", "enable_wrap",
    "lambda_auto_wrap_policy", "size_based_auto_wrap_policy", "transformer_auto_wrap_policy",
    "wrap",
]  # fmt: skip


class _Policy(ABC):
    """A policy; ``_run_policy`` gives the options of each module that is wrapped."""

    @abstractmethod
    def _run_policy(self, root_module, ignored_modules, root_kwargs):
        """Return a dict from modules to options."""


class ModuleWrapPolicy(_Policy):
    """Wraps all modules of some classes.

    Args:
        module_classes: The classes.

    >>> from rushlight.distributed.fsdp.wrap import ModuleWrapPolicy
    >>> ModuleWrapPolicy({ModuleList})(ModuleList(), recurse=False)
    True
    """

    def __init__(self, module_classes):
        self._module_classes = set(module_classes)
        self._module_classes_str = str(self._module_classes)

    def _run_policy(self, root_module, ignored_modules, root_kwargs):
        classes = tuple(self._module_classes)
        return {
            m: dict(root_kwargs)
            for m in root_module.modules()
            if m not in ignored_modules and isinstance(m, classes)
        }

    def __call__(self, module, recurse, *args, **kwargs):
        return lambda_auto_wrap_policy(
            module, recurse, -1, lambda m: isinstance(m, tuple(self._module_classes))
        )


class CustomPolicy(_Policy):
    """Wraps the modules for which a function returns True, or a dict of options.

    Args:
        lambda_fn: The function.

    >>> policy = CustomPolicy(lambda module: isinstance(module, ModuleList))
    """

    def __init__(self, lambda_fn):
        self._lambda_fn = lambda_fn

    def _run_policy(self, root_module, ignored_modules, root_kwargs):
        found = {}
        for m in root_module.modules():
            if m in ignored_modules:
                continue
            told = self._lambda_fn(m)
            if not isinstance(told, (dict, bool)):
                raise ValueError(
                    "The lambda_fn passed to CustomPolicy should return False/True or a kwarg "
                    f"dict, but it returned {told}"
                )
            if told:
                found[m] = {**root_kwargs, **(told if isinstance(told, dict) else {})}
        return found


def always_wrap_policy(*args, **kwargs):
    """Return True: every module is wrapped.

    Args:
        args, kwargs: Accepted without effect.

    Returns:
        True.

    >>> always_wrap_policy()
    True
    """
    return True


def lambda_auto_wrap_policy(module, recurse, nonwrapped_numel, lambda_fn):
    """Wrap the modules for which ``lambda_fn`` is true.

    Args:
        module: A module.
        recurse: Whether it is asked if the modules inside may be wrapped, and not the module.
        nonwrapped_numel: The number of its parameters that no module inside wraps.
        lambda_fn: A function of a module.

    Returns:
        A bool.

    >>> lambda_auto_wrap_policy(None, False, 0, lambda module: module is None)
    True
    """
    return True if recurse else lambda_fn(module)


def transformer_auto_wrap_policy(module, recurse, nonwrapped_numel, transformer_layer_cls):
    """Wrap the modules of some classes.

    Args:
        module: A module.
        recurse: Whether it is asked if the modules inside may be wrapped, and not the module.
        nonwrapped_numel: The number of its parameters that no module inside wraps.
        transformer_layer_cls: The classes.

    Returns:
        A bool.

    >>> transformer_auto_wrap_policy(ModuleList(), False, 0, {ModuleList})
    True
    """
    return True if recurse else isinstance(module, tuple(transformer_layer_cls))


def size_based_auto_wrap_policy(
    module, recurse, nonwrapped_numel, min_num_params=int(1e8), force_leaf_modules=None,
    exclude_wrap_modules=None,
):  # fmt: skip
    """Wrap the modules with at least ``min_num_params`` parameters that no other wraps.

    Args:
        module: A module.
        recurse: Whether it is asked if the modules inside may be wrapped, and not the module.
        nonwrapped_numel: The number of its parameters that no module inside wraps.
        min_num_params: The least number of parameters.
        force_leaf_modules: Classes in which nothing is wrapped.
        exclude_wrap_modules: Classes that are not wrapped. Default: ``ModuleList``, ``ModuleDict``.

    Returns:
        A bool.

    >>> size_based_auto_wrap_policy(None, False, 100, min_num_params=50)
    True
    """
    defaults = vars(size_based_auto_wrap_policy)
    large = nonwrapped_numel >= min_num_params
    if recurse:
        return large and not isinstance(
            module, tuple(force_leaf_modules or defaults["FORCE_LEAF_MODULES"])
        )
    excluded = exclude_wrap_modules or defaults["EXCLUDE_WRAP_MODULES"]
    return large and not isinstance(module, tuple(excluded))


vars(size_based_auto_wrap_policy).update(
    FORCE_LEAF_MODULES=set(), EXCLUDE_WRAP_MODULES={ModuleList, ModuleDict}
)


def chosen(root, policy, ignored=(), options=None):
    """Return a dict: the modules below ``root`` that a policy wraps, and the options of each."""
    options = options or {}
    if isinstance(policy, _Policy):
        found = policy._run_policy(root, set(ignored), options)
        found.pop(root, None)
        return found
    found = {}

    def walk(module):
        """Note the chosen modules; return how many parameters are in chosen ones."""
        sizes = {p: p.numel() for p in module.parameters()}
        whole = sum(sizes.values())
        if policy(module=module, recurse=True, nonwrapped_numel=whole):
            done = 0
            for child in module.children():
                if child not in ignored:
                    done += walk(child)
            rest = whole - done
            if module is not root and policy(module=module, recurse=False, nonwrapped_numel=rest):
                found[module] = dict(options)
                return whole
            return done
        return 0

    walk(root)
    return found


def replace_modules(root, found, wrapper):
    """Replace the modules ``found`` (with options) below ``root`` by what ``wrapper`` returns."""
    made: dict = {}
    for parent in list(root.modules()):
        for name, child in list(parent.named_children()):
            if child in found:
                if child not in made:
                    made[child] = wrapper(child, **found[child])
                setattr(parent, name, made[child])


_wrapping: list = []


@contextlib.contextmanager
def enable_wrap(*, wrapper_cls, **wrapper_kwargs):
    """A context in which ``wrap`` wraps.

    Args:
        wrapper_cls: The wrapper.
        wrapper_kwargs: Its options.

    Yields:
        None.

    >>> with enable_wrap(wrapper_cls=lambda module: [module]):
    ...     wrap("module")
    ['module']
    """
    _wrapping.append((wrapper_cls, wrapper_kwargs))
    try:
        yield
    finally:
        _wrapping.pop()


def wrap(module, **wrap_overrides):
    """Wrap a module inside of ``enable_wrap``; return it as it is elsewhere.

    Args:
        module: The module.
        wrap_overrides: Options of the wrapper, in the place of those of ``enable_wrap``.

    Returns:
        A module.

    >>> with enable_wrap(wrapper_cls=lambda module: [module]):
    ...     wrap("module")
    ['module']
    """
    if not _wrapping:
        return module
    wrapper, options = _wrapping[-1]
    return wrapper(module, **{**options, **wrap_overrides})


def _module_wrap_policy(module, recurse, nonwrapped_numel, module_classes):
    return True if recurse else isinstance(module, tuple(module_classes))


def _or_policy(module, recurse, nonwrapped_numel, policies):
    return any(
        p(module=module, recurse=recurse, nonwrapped_numel=nonwrapped_numel) for p in policies
    )
