"""A module and the modules below it: paths and iteration."""

from rushlight.nn.modules.registry import Registry
from rushlight.nn.parameter import Parameter

__all__ = ["Tree"]


class Tree(Registry):
    """The part of Module that finds submodules, parameters and buffers at any depth."""

    # Paths --------------------------------------------------------------------------------

    def get_submodule(self, target):
        """The submodule at the path ``target``, such as ``"net.2"``.

        Raises:
            AttributeError: There is no submodule at the path.
        """
        module = self
        for name in target.split(".") if target else ():
            module = module._member(name, Tree, "a Module")
        return module

    def set_submodule(self, target, module, strict=False):
        """Put ``module`` at the path ``target``; ``strict`` demands an existing one.

        Raises:
            AttributeError: The path leads nowhere, or to an attribute that is no module.
            ValueError: ``target`` is empty, or ``module`` is no Module.
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
        """The parameter at the path ``target``, such as ``"net.2.weight"``.

        Raises:
            AttributeError: There is no parameter at the path.
        """
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._member(name, Parameter, "a Parameter")

    def get_buffer(self, target):
        """The buffer at the path ``target``.

        Raises:
            AttributeError: There is no buffer at the path.
        """
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = module._member(name, object, "a buffer")
        if name not in module._buffers:
            raise AttributeError(f"{module._get_name()}.{name} is not a buffer")
        return found

    def _member(self, name, kind, noun):
        if not hasattr(self, name):
            raise AttributeError(f"{self._get_name()} has no attribute {name!r}")
        found = getattr(self, name)
        if not isinstance(found, kind):
            raise AttributeError(f"{self._get_name()}.{name} is not {noun}")
        return found

    # Iteration ----------------------------------------------------------------------------

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs (path, parameter) of this module and all its submodules."""
        return self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse=True):
        """The parameters of this module and all its submodules."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs (path, buffer) of this module and all its submodules."""
        return self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse=True):
        """The buffers of this module and all its submodules."""
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
        """Pairs (name, module) of the direct submodules."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """The direct submodules."""
        for _, module in self.named_children():
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Pairs (path, module) of this module, with the path ``prefix``, and all submodules."""
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
        """This module and all its submodules."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module
