"""Module: the base class of every layer and every model."""

import sys
from types import FunctionType, ModuleType
from typing import TypeVar

from rushlight.autograd.hooks import RemovableHandle
from rushlight.nn.modules import call
from rushlight.nn.modules.call import Call
from rushlight.nn.modules.conversion import Conversion
from rushlight.nn.modules.hooks import (
    Everywhere,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
    registered,
)
from rushlight.nn.modules.hooks import _WrappedHook as _WrappedHook  # PyTorch has this name here
from rushlight.nn.modules.state import _EXTRA_STATE_KEY_SUFFIX as _EXTRA_STATE_KEY_SUFFIX
from rushlight.nn.modules.state import State
from rushlight.nn.modules.state import _IncompatibleKeys as _IncompatibleKeys  # PyTorch's place
from rushlight.nn.modules.tree import Tree
from rushlight.nn.parameter import Buffer, Parameter
from rushlight.tensor import Tensor

__all__ = [
    "Module", "register_module_backward_hook", "register_module_buffer_registration_hook",
    "register_module_forward_hook", "register_module_forward_pre_hook",
    "register_module_full_backward_hook", "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook", "register_module_parameter_registration_hook",
]  # fmt: skip


def _of_everywhere(kind):
    """The hooks of all modules of one kind, under PyTorch's name: programs set them anew."""

    def read(self):
        return getattr(Everywhere, kind)

    def write(self, hooks):
        setattr(Everywhere, kind, hooks)
        if f"_{kind}" in vars(call):
            setattr(call, f"_{kind}", hooks)
        RemovableHandle.changes += 1

    return property(read, write)


class _WithHooks(ModuleType):
    _global_parameter_registration_hooks = _of_everywhere("on_parameter")
    _global_buffer_registration_hooks = _of_everywhere("on_buffer")
    _global_module_registration_hooks = _of_everywhere("on_module")
    _global_forward_pre_hooks = _of_everywhere("forward_pre")
    _global_forward_hooks = _of_everywhere("forward")
    _global_forward_hooks_with_kwargs = _of_everywhere("forward_with_kwargs")
    _global_forward_hooks_always_called = _of_everywhere("forward_always")
    _global_backward_pre_hooks = _of_everywhere("backward_pre")
    _global_backward_hooks = _of_everywhere("backward")
    _global_is_full_backward_hook = _of_everywhere("backward_is_full")


sys.modules[__name__].__class__ = _WithHooks

BEFORE_INIT = (
    "cannot assign {kind} {name!r} before Module.__init__() ran; "
    "call super().__init__() first in {owner}.__init__"
)


def _is_of_torch(function):
    """Whether a function is one of ``torch`` or of ``torch.nn.functional``, under its own name."""
    name = function.__name__
    return function.__qualname__ == name and any(
        vars(sys.modules.get(place, object)).get(name) is function
        for place in ("rushlight", "rushlight.nn.functional")
    )


class Module(Call, Tree, State, Conversion):
    """A function with parameters, which may be composed of smaller Modules.

    A subclass calls ``super().__init__()``, assigns its parameters and submodules to ``self``,
    and defines ``forward``.

    >>> import rushlight as torch
    >>> class Scale(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.by = torch.nn.Parameter(torch.tensor(2.0))
    ...     def forward(self, x):
    ...         return self.by * x
    >>> Scale()(torch.ones(2)), [name for name, _ in Scale().named_parameters()]
    (tensor([2., 2.], grad_fn=<MulBackward0>), ['by'])
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # Most of PyTorch's functions are builtins, which do not become methods: a class may
        # say ``activation = torch.tanh`` and call ``self.activation(x)``.
        for name, value in list(vars(cls).items()):
            if type(value) is FunctionType and _is_of_torch(value):
                setattr(cls, name, staticmethod(value))

    dump_patches = False
    T_destination = TypeVar("T_destination", bound=dict)  # PyTorch's name, for annotations
    call_super_init = False
    _compiled_call_impl = None

    def __init__(self, *args, **kwargs):
        if not self.call_super_init and (args or kwargs):
            extra = f"keyword argument {next(iter(kwargs))!r}" if kwargs else f"{len(args)} more"
            raise TypeError(f"{type(self).__name__}.__init__() takes only self; got {extra}")
        self._make_registries()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *args):
        """Compute the module's result from the arguments of its call.

        Every subclass defines this method. Call the module itself, not this method, so that its
        hooks run.

        Raises:
            NotImplementedError: The subclass does not define ``forward``.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).forward(torch.ones(2)).shape
        torch.Size([3])
        """
        name = type(self).__name__
        raise NotImplementedError(f'Module [{name}] is missing the required "forward" function')

    def compile(self, *args, **kwargs):
        """Compile the call of this module, in place.

        Args:
            *args, **kwargs: As for ``torch.compile``.

        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 3)
        >>> layer.compile()
        >>> layer(torch.ones(2)).shape
        torch.Size([3])
        """
        import rushlight

        self._compiled_call_impl = rushlight.compile(self._call_impl, *args, **kwargs)

    # Registration -------------------------------------------------------------------------

    def register_parameter(self, name, param):
        """Add a parameter.

        Args:
            param: The Parameter. None reserves the name without a parameter.

        Raises:
            TypeError: ``param`` is no Parameter.
            KeyError: ``name`` is taken, empty or contains a dot.
            ValueError: ``param`` is the result of recorded operations.

        >>> import rushlight as torch
        >>> module = torch.nn.Module()
        >>> module.register_parameter("scale", torch.nn.Parameter(torch.ones(2)))
        >>> [name for name, _ in module.named_parameters()]
        ['scale']
        """
        self._check_name("parameter", name, "_parameters")
        if param is not None:
            if not isinstance(param, Parameter):
                _refuse(param, "parameter", name, "torch.nn.Parameter")
            if param.grad_fn is not None:
                raise ValueError(
                    f"cannot assign a tensor with a history as parameter {name!r}; "
                    "compute it from parameters in forward() instead"
                )
            param = registered(Everywhere.on_parameter, self, name, param)
        self._parameters[name] = param

    def register_buffer(self, name, tensor, persistent=True):
        """Add a tensor that belongs to the module's state but is no parameter.

        Args:
            tensor: The Tensor. None reserves the name without a buffer.
            persistent: Make the buffer a part of ``state_dict``. Default: True.

        Raises:
            TypeError: ``tensor`` is no Tensor.
            KeyError: ``name`` is taken, empty or contains a dot.

        >>> import rushlight as torch
        >>> module = torch.nn.Module()
        >>> module.register_buffer("mean", torch.zeros(2))
        >>> module.state_dict()
        OrderedDict([('mean', tensor([0., 0.]))])
        """
        self._check_name("buffer", name, "_buffers")
        if tensor is not None and not _is_tensor(tensor):
            _refuse(tensor, "buffer", name, "torch.Tensor")
        self._buffers[name] = registered(Everywhere.on_buffer, self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name, module):
        """Add a submodule.

        Args:
            module: The Module to add. None reserves the name without a submodule.

        Raises:
            TypeError: ``module`` is no Module.
            KeyError: ``name`` is taken, empty or contains a dot.

        >>> import rushlight as torch
        >>> module = torch.nn.Module()
        >>> module.add_module("act", torch.nn.ReLU())
        >>> module.act
        ReLU()
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {_named(module)} is not a Module subclass")
        self._check_name("module", name, "_modules")
        self._modules[name] = registered(Everywhere.on_module, self, name, module)

    def register_module(self, name, module):
        """Add a submodule; another name of ``add_module``.

        Args:
            module: The Module to add. None reserves the name without a submodule.

        >>> import rushlight as torch
        >>> module = torch.nn.Module()
        >>> module.register_module("act", torch.nn.ReLU())
        >>> module.act
        ReLU()
        """
        self.add_module(name, module)

    def _check_name(self, kind, name, registry):
        if registry not in self.__dict__:
            owner = type(self).__name__
            raise AttributeError(BEFORE_INIT.format(kind=kind, name=name, owner=owner))
        if not isinstance(name, str):
            raise TypeError(f"{kind} name: expected a str, got {_typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name {name!r} can\'t contain "."')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in self.__dict__[registry] and hasattr(self, name):
            raise KeyError(f"{kind} name: attribute {name!r} already exists")

    # Attributes ---------------------------------------------------------------------------

    def __getattr__(self, name):
        # Python calls this method only after its own look-up has failed.
        own = self.__dict__
        if "_parameters" in own:
            if name in (found := own["_parameters"]):
                return found[name]
            if name in (found := own["_buffers"]):
                return found[name]
            if name in (found := own["_modules"]):
                return found[name]
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
        )

    def __setattr__(self, name, value):
        own = self.__dict__
        if isinstance(value, Tensor) and isinstance(value, Parameter):
            self._take(name, "parameter", "_parameters")
            self.register_parameter(name, value)
        elif name in own.get("_parameters", ()):
            if value is not None:
                _refuse(value, "parameter", name, "torch.nn.Parameter")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._take(name, "module", "_modules")
            own["_modules"][name] = registered(Everywhere.on_module, self, name, value)
        elif name in own.get("_modules", ()):
            if value is not None:
                _refuse(value, "child module", name, "torch.nn.Module")
            own["_modules"][name] = registered(Everywhere.on_module, self, name, value)
        elif name in own.get("_buffers", ()) or (
            isinstance(value, Tensor) and isinstance(value, Buffer)
        ):
            self._set_buffer(name, value)
        else:
            object.__setattr__(self, name, value)
            if name == "__class__":  # compiled calls look at the class again
                RemovableHandle.changes += 1

    def _take(self, name, kind, registry):
        """Remove every other attribute called ``name``, so that ``registry`` can take the name."""
        own = self.__dict__
        if registry not in own:
            owner = type(self).__name__
            raise AttributeError(BEFORE_INIT.format(kind=kind, name=name, owner=owner))
        for other in ("_parameters", "_buffers", "_modules"):
            if other != registry:
                own[other].pop(name, None)
        own.pop(name, None)
        own["_non_persistent_buffers_set"].discard(name)

    def _set_buffer(self, name, value):
        if value is not None and not _is_tensor(value):
            _refuse(value, "buffer", name, "torch.Tensor")
        marked = isinstance(value, Tensor) and isinstance(value, Buffer)
        if marked:
            persistent = value.persistent
        else:
            persistent = name not in self._non_persistent_buffers_set
        # A subclass may override register_buffer without the argument ``persistent``.
        self.register_buffer(name, value, **({} if persistent else {"persistent": False}))

    def __delattr__(self, name):
        for registry in (self._parameters, self._buffers, self._modules):
            if name in registry:
                del registry[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self):
        names = {*dir(type(self)), *self.__dict__}
        names.update(self._parameters, self._buffers, self._modules)
        return sorted(name for name in names if not name[0].isdigit())

    # Changes ------------------------------------------------------------------------------

    def apply(self, fn):
        """Call a function on every submodule, and then on this module.

        Args:
            fn: The function of a Module, such as one that sets initial weights.

        Returns:
            The module itself.

        >>> import rushlight as torch
        >>> def fill(module):
        ...     if isinstance(module, torch.nn.Linear):
        ...         torch.nn.init.ones_(module.weight)
        >>> torch.nn.Sequential(torch.nn.Linear(1, 2)).apply(fill)[0].weight.detach()
        tensor([[1.],
                [1.]])
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode=True):
        """Set this module and all its submodules to training mode, or to evaluation mode.

        The mode matters for dropout and batch normalisation, among others.

        Args:
            mode: True for training, False for evaluation. Default: True.

        Returns:
            The module itself.

        Raises:
            ValueError: ``mode`` is no bool.

        >>> import rushlight as torch
        >>> torch.nn.Dropout().train(False).training
        False
        """
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be a bool, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Set this module and all its submodules to evaluation mode.

        Returns:
            The module itself.

        >>> import rushlight as torch
        >>> torch.nn.Dropout().eval()(torch.ones(2))
        tensor([1., 1.])
        """
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Set ``requires_grad`` of every parameter.

        Args:
            requires_grad: Let the parameters have gradients. Default: True.

        Returns:
            The module itself.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).requires_grad_(False).weight.requires_grad
        False
        """
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Remove the gradient of every parameter, or set it to 0.

        Args:
            set_to_none: Set the gradients to None; False: fill them with 0. Default: True.

        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 1)
        >>> layer(torch.ones(2)).backward()
        >>> layer.zero_grad()
        >>> layer.weight.grad is None
        True
        """
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                if parameter.grad.requires_grad:
                    parameter.grad = parameter.grad.detach()
                parameter.grad.zero_()

    # Printing -----------------------------------------------------------------------------

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """Return the text between the parentheses of the module's printed form.

        A subclass may define this method.

        Returns:
            Text. By default it is empty.

        >>> import rushlight as torch
        >>> torch.nn.Linear(2, 3).extra_repr()
        'in_features=2, out_features=3, bias=True'
        """
        return ""

    def __repr__(self):
        return "\n".join(_lines(self))


def _lines(module):
    """The lines of a module's printed form, built without recursion, as nesting may be deep."""
    lines = []
    waiting: list = [(module, "", "")]  # stack of the parts left to print
    while waiting:
        part, margin, label = waiting.pop()
        if isinstance(part, str):
            lines.append(margin + part)
            continue
        if part is not module and type(part).__repr__ is not Module.__repr__:
            first, *rest = repr(part).split("\n")
            lines.append(f"{margin}{label}{first}")
            lines += [margin + line if line.strip() else "" for line in rest]
            continue
        extra = part.extra_repr()
        own = extra.split("\n") if extra else []
        head = f"{margin}{label}{part._get_name()}("
        if not part._modules and len(own) < 2:
            lines.append(f"{head}{extra})")
            continue
        lines.append(head)
        inner = margin + "  "
        lines += [inner + line if line.strip() or not margin else "" for line in own]
        waiting.append((")", margin, ""))
        waiting += [(m, inner, f"({name}): ") for name, m in reversed(part._modules.items())]
    return lines


def _addindent(s_, numSpaces):
    """The text ``s_`` with its lines moved to the right, except for the first.

    Programs import this function for a ``__repr__`` of their own.
    """
    first, *rest = s_.split("\n")
    return "\n".join([first, *[numSpaces * " " + line for line in rest]])


def _is_tensor(value):
    return isinstance(value, Tensor) or hasattr(value, "__torch_function__")


def _refuse(value, kind, name, needed):
    raise TypeError(
        f"cannot assign '{_typename(value)}' as {kind} {name!r} ({needed} or None expected)"
    )


def _named(value):
    """The name of a value that is no Module: that of a class or a function is its own."""
    own = getattr(value, "__qualname__", None)
    if own is None:
        return _typename(value)
    module = getattr(value, "__module__", None) or "builtins"
    return own if module in ("builtins", "__main__") else f"{module}.{own}"


def _typename(value):
    if isinstance(value, Tensor):
        return value.type() if type(value) is Tensor else type(value).__name__
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
