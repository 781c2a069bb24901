"""A module and the modules below it: paths and iteration."""

from rushlight.nn.modules.registry import Registry
from rushlight.nn.parameter import Parameter

__all__ = ["Tree"]


class Tree(Registry):
    """The part of Module that finds submodules, parameters and buffers at any depth."""

    # Paths --------------------------------------------------------------------------------

    def get_submodule(self, target):
        """Find the submodule at a path.

        Args:
            target: Names joined by dots, such as ``"net.2"``. ``""`` is the module itself.

        Returns:
            The Module.

        Raises:
            AttributeError: There is no submodule at the path.

        >>> import rushlight as torch
        >>> net = torch.nn.Sequential(torch.nn.Sequential(torch.nn.ReLU()))
        >>> net.get_submodule("0.0")
        ReLU()
        """
        module = self
        for name in target.split(".") if target else ():
            module = module._member(name, Tree, "a Module")
        return module

    def set_submodule(self, target, module, strict=False):
        """Put a module at a path.

        Args:
            target: Names joined by dots, such as ``"net.2"``.
            module: The Module to put there.
            strict: Refuse a path where no module is yet. Default: False.

        Raises:
            AttributeError: The path leads nowhere, or to an attribute that is no module.
            ValueError: ``target`` is empty, or ``module`` is no Module.

        >>> import rushlight as torch
        >>> net = torch.nn.Sequential(torch.nn.Sequential(torch.nn.ReLU()))
        >>> net.set_submodule("0.0", torch.nn.Tanh())
        >>> net[0][0]
        Tanh()
        """
        if not target:
            raise ValueError("set_submodule: target must not be empty")
        if not isinstance(module, Tree):
            raise ValueError(f"set_submodule: {type(module)} is not a Module")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict or hasattr(parent, name):
            parent._member(name, Tree, "a Module")
        setattr(parent, name, module)

    def get_parameter(self, target):
        """Find the parameter at a path.

        Args:
            target: Names joined by dots, such as ``"net.2.weight"``.

        Returns:
            The Parameter.

        Raises:
            AttributeError: There is no parameter at the path.

        >>> import rushlight as torch
        >>> torch.nn.Sequential(torch.nn.Linear(2, 3)).get_parameter("0.bias").shape
        torch.Size([3])
        """
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._member(name, Parameter, "a Parameter")

    def get_buffer(self, target):
        """Find the buffer at a path.

        Args:
            target: Names joined by dots, such as ``"net.2.running_mean"``.

        Returns:
            The Tensor.

        Raises:
            AttributeError: There is no buffer at the path.

        >>> import rushlight as torch
        >>> torch.nn.Sequential(torch.nn.BatchNorm1d(2)).get_buffer("0.running_mean")
        tensor([0., 0.])
        """
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = module._member(name, object, "a buffer")
        if name not in module._buffers:
            raise AttributeError(f"{module._get_name()}.{name} is not a buffer")
        return found

    def _member(self, name, kind, noun):
        if not hasattr(self, name):
            raise AttributeError(f"{self._get_name()} has no attribute `{name}`")
        found = getattr(self, name)
        if not isinstance(found, kind):
            raise AttributeError(f"{self._get_name()}.{name} is not {noun}")
        return found

    # Iteration ----------------------------------------------------------------------------

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterate over the parameters and their paths.

        Returns:
            Iterator of pairs (path, Parameter).

        >>> import rushlight as torch
        >>> [path for path, _ in torch.nn.Sequential(torch.nn.Linear(2, 3)).named_parameters()]
        ['0.weight', '0.bias']
        """
        return self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse=True):
        """Iterate over the parameters.

        Yields:
            The Parameters, each once.

        >>> import rushlight as torch
        >>> [p.shape for p in torch.nn.Linear(2, 3).parameters()]
        [torch.Size([3, 2]), torch.Size([3])]
        """
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Iterate over the buffers and their paths.

        Returns:
            Iterator of pairs (path, Tensor).

        >>> import rushlight as torch
        >>> [path for path, _ in torch.nn.Sequential(torch.nn.BatchNorm1d(2)).named_buffers()]
        ['0.running_mean', '0.running_var', '0.num_batches_tracked']
        """
        return self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse=True):
        """Iterate over the buffers.

        Yields:
            The Tensors, each once.

        >>> import rushlight as torch
        >>> list(torch.nn.BatchNorm1d(2).buffers())
        [tensor([0., 0.]), tensor([1., 1.]), tensor(0)]
        """
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        else:
            modules = [(prefix, self)]
        for path, module in modules:
            for name, member in get_members_fn(module):
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def named_children(self):
        """Iterate over the direct submodules and their names.

        Yields:
            Pairs (name, Module), each module once.

        >>> import rushlight as torch
        >>> dict(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh()).named_children())
        {'0': ReLU(), '1': Tanh()}
        """
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """Iterate over the direct submodules.

        Yields:
            The Modules, each once.

        >>> import rushlight as torch
        >>> list(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh()).children())
        [ReLU(), Tanh()]
        """
        for _, module in self.named_children():
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Iterate over this module and all its submodules, with their paths.

        Args:
            memo: Set of modules to leave out, to which the modules found are added. Default: empty.
            prefix: Path of this module. Default: ``""``.

        Yields:
            Pairs (path, Module). This module comes first.

        >>> import rushlight as torch
        >>> [path for path, _ in torch.nn.Sequential(torch.nn.ReLU()).named_modules()]
        ['', '0']
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self, remove_duplicate=True):
        """Iterate over this module and all its submodules.

        Yields:
            The Modules. This module comes first.

        >>> import rushlight as torch
        >>> [type(m).__name__ for m in torch.nn.Sequential(torch.nn.ReLU()).modules()]
        ['Sequential', 'ReLU']
        """
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module
