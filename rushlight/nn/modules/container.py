"""Modules that hold other modules, or parameters."""

import warnings
from collections import OrderedDict
from collections.abc import Iterable
from itertools import chain

from rushlight.nn.modules.module import Module
from rushlight.nn.modules.parameters import ParameterDict, ParameterList, pairs, position

__all__ = ["Container", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class Container(Module):
    """A module of the named modules that it is given: deprecated, subclass ``Module`` instead.

    >>> import rushlight as torch
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     torch.nn.Container(act=torch.nn.ReLU())
    Container(
      (act): ReLU()
    )
    """

    def __init__(self, **kwargs):
        super().__init__()
        warnings.warn(
            "`nn.Container` is deprecated. Subclass `nn.Module` instead.",
            FutureWarning,
            stacklevel=2,
        )
        for name, module in kwargs.items():
            self.add_module(name, module)


class _Numbered(Module):
    """Base of Sequential and ModuleList: a list of modules, kept in ``_modules``."""

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def _key(self, idx):
        return list(self._modules)[position(idx, len(self))]

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return self._holding(list(self._modules.items())[idx])
        return self._modules[self._key(idx)]

    def __setitem__(self, idx, module):
        setattr(self, self._key(idx), module)

    def __delitem__(self, idx):
        keys = list(self._modules)[idx] if isinstance(idx, slice) else [self._key(idx)]
        for key in keys:
            delattr(self, key)
        self._renumber(self._modules.values())

    def _renumber(self, modules):
        named = {str(i): module for i, module in enumerate(modules)}
        self._modules.clear()
        self._modules.update(named)

    def append(self, module):
        """Add a module at the end.

        Returns:
            The container itself.

        >>> import rushlight as torch
        >>> len(torch.nn.ModuleList([torch.nn.ReLU()]).append(torch.nn.Tanh()))
        2
        """
        self.add_module(str(len(self)), module)
        return self

    def _extended(self, modules):
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, key):
        """Remove and return a module.

        Args:
            key: Index of the module, or a slice.

        Returns:
            The Module; for a slice a container of modules.

        >>> import rushlight as torch
        >>> torch.nn.ModuleList([torch.nn.ReLU(), torch.nn.Tanh()]).pop(0)
        ReLU()
        """
        found = self[key]
        del self[key]
        return found


class Sequential(_Numbered):
    """Calls its modules one after another, each with the result of the previous module.

    Args:
        *args: The Modules, in their order; or one OrderedDict of names and Modules.

    >>> import rushlight as torch
    >>> torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU())
    Sequential(
      (0): Linear(in_features=8, out_features=4, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            named: dict = args[0]
        else:
            named = {str(i): module for i, module in enumerate(args)}
        if len(args) == 1 and isinstance(args[0], (list, tuple)):
            raise TypeError(
                f"Sequential: {type(args[0]).__name__} is not a Module subclass; give the modules "
                "one by one, as Sequential(*modules)"
            )
        for name, module in named.items():
            self.add_module(name, module)

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input

    def _holding(self, named):
        return type(self)(OrderedDict(named))

    def extend(self, sequential):
        """Add modules at the end.

        Args:
            sequential: A Sequential, or any iterable of modules.

        Returns:
            The container itself.

        >>> import rushlight as torch
        >>> len(torch.nn.Sequential().extend([torch.nn.ReLU(), torch.nn.Tanh()]))
        2
        """
        return self._extended(sequential)

    def insert(self, index, module):
        """Put a module before a position.

        Args:
            index: The position, from -n to n for n modules.

        Returns:
            The container itself.

        Raises:
            AssertionError: ``module`` is no Module.
            IndexError: ``index`` is out of range.

        >>> import rushlight as torch
        >>> torch.nn.Sequential(torch.nn.ReLU()).insert(0, torch.nn.Tanh())
        Sequential(
          (0): Tanh()
          (1): ReLU()
        )
        """
        if not isinstance(module, Module):
            raise AssertionError(f"Sequential.insert: {type(module)} is not a Module")
        n = len(self)
        if not -n <= index <= n:
            raise IndexError(f"Sequential.insert: index {index} is out of range of {n} items")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def __add__(self, other):
        return Sequential(*self, *self._modules_of(other))

    def __iadd__(self, other):
        return self.extend(self._modules_of(other))

    def _modules_of(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"Sequential + other: other must be a Sequential, got {type(other)}")
        return other

    def __mul__(self, n):
        return Sequential(*list(self) * self._times(n))

    __rmul__ = __mul__

    def __imul__(self, n):
        return self.extend(list(self) * (self._times(n) - 1))

    def _times(self, n):
        if not isinstance(n, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(n)}")
        if n <= 0:
            raise ValueError(f"Sequential * n: n must be positive, got {n}")
        return n


class ModuleList(_Numbered):
    """A list whose modules are registered as submodules.

    Args:
        modules: Iterable of Modules. Default: none.

    >>> import rushlight as torch
    >>> torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(3))
    ModuleList(
      (0-2): 3 x Linear(in_features=4, out_features=4, bias=True)
    )
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _key(self, idx):
        return str(position(idx, len(self)))

    def _holding(self, named):
        return type(self)([module for _, module in named])

    def insert(self, index, module):
        """Put a module before a position.

        Args:
            index: The position. Numbers out of range mean the nearest end.

        >>> import rushlight as torch
        >>> modules = torch.nn.ModuleList([torch.nn.ReLU()])
        >>> modules.insert(0, torch.nn.Tanh())
        >>> modules[0]
        Tanh()
        """
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)

    def extend(self, modules):
        """Add modules at the end.

        Returns:
            The container itself.

        Raises:
            TypeError: ``modules`` cannot be iterated.

        >>> import rushlight as torch
        >>> len(torch.nn.ModuleList().extend([torch.nn.ReLU(), torch.nn.Tanh()]))
        2
        """
        if not isinstance(modules, Iterable):
            kind = type(modules).__name__
            raise TypeError(f"ModuleList.extend: expected an iterable, got a {kind}")
        return self._extended(modules)

    def __iadd__(self, modules):
        return self.extend(modules)

    def __add__(self, other):
        return ModuleList(chain(self, other))

    def __repr__(self):
        runs: list[list] = []  # [first index, last index, repr] of equal neighbours
        for i, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1][1] = i
            else:
                runs.append([i, i, text])
        if not runs:
            return f"{self._get_name()}()"
        lines = [
            f"({i}): {text}" if i == j else f"({i}-{j}): {j - i + 1} x {text}"
            for i, j, text in runs
        ]
        body = "".join(f"\n  {_indented(line)}" for line in lines)
        return f"{self._get_name()}({body}\n)"


def _indented(text):
    return text.replace("\n", "\n  ")


class ModuleDict(Module):
    """A dict whose modules are registered as submodules.

    Args:
        modules: Mapping of names to Modules, or iterable of such pairs. Default: none.

    >>> import rushlight as torch
    >>> torch.nn.ModuleDict({"act": torch.nn.ReLU()})["act"]
    ReLU()
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def clear(self):
        """Remove all modules.

        >>> import rushlight as torch
        >>> modules = torch.nn.ModuleDict({"act": torch.nn.ReLU()})
        >>> modules.clear()
        >>> len(modules)
        0
        """
        self._modules.clear()

    def pop(self, key):
        """Remove and return a module.

        Args:
            key: The module's name.

        Returns:
            The Module.

        Raises:
            KeyError: There is no such name.

        >>> import rushlight as torch
        >>> torch.nn.ModuleDict({"act": torch.nn.ReLU()}).pop("act")
        ReLU()
        """
        return self._modules.pop(key)

    def keys(self):
        """Iterate over the names.

        Returns:
            View of the names.

        >>> import rushlight as torch
        >>> list(torch.nn.ModuleDict({"act": torch.nn.ReLU()}).keys())
        ['act']
        """
        return self._modules.keys()

    def items(self):
        """Iterate over the names and modules.

        Returns:
            View of pairs (name, Module).

        >>> import rushlight as torch
        >>> list(torch.nn.ModuleDict({"act": torch.nn.ReLU()}).items())
        [('act', ReLU())]
        """
        return self._modules.items()

    def values(self):
        """Iterate over the modules.

        Returns:
            View of the Modules.

        >>> import rushlight as torch
        >>> list(torch.nn.ModuleDict({"act": torch.nn.ReLU()}).values())
        [ReLU()]
        """
        return self._modules.values()

    def update(self, modules):
        """Add modules, which replace those of the same names.

        Args:
            modules: Mapping of names to Modules, or iterable of such pairs.

        Raises:
            TypeError, ValueError: ``modules`` is neither.

        >>> import rushlight as torch
        >>> modules = torch.nn.ModuleDict()
        >>> modules.update({"act": torch.nn.ReLU()})
        >>> modules["act"]
        ReLU()
        """
        for key, module in pairs(modules, "ModuleDict"):
            self[key] = module
