"""``OptimizedModule``: the Module that ``torch.compile`` returns for a Module."""

import functools

from rushlight.compiler.calls.compiled import Compiled, compile
from rushlight.compiler.calls.hooks import hook_functions
from rushlight.nn import Module

__all__ = ["OptimizedModule"]


class OptimizedModule(Module):
    """A Module that shares the state of another Module, and runs its calls as programs.

    Args:
        module: The other Module.
        fullgraph: Raise an error if a call cannot become one program. Default: False.
        audited: Record a later call again now and then, to check the program. Default: True.

    >>> import rushlight as torch
    >>> model = torch.compile(torch.nn.ReLU())
    >>> type(model).__name__, model(torch.tensor([-1.0, 1.0]))
    ('OptimizedModule', tensor([0., 1.]))
    """

    def __init__(self, module, fullgraph=False, audited=True):
        super().__init__()
        self._orig_mod = module
        object.__setattr__(self, "_compiled", Compiled(module, fullgraph, audited))

    @property
    def training(self):
        """The original Module's ``training``."""
        return self._orig_mod.training

    @training.setter
    def training(self, value):
        if "_compiled" in self.__dict__:  # not yet while the constructor of Module runs
            self._orig_mod.training = value

    def __call__(self, *args, **kwargs):
        # Global hooks for all modules run for the original Module, so they must not run here.
        if hook_functions(self):
            return super().__call__(*args, **kwargs)
        return self._compiled(*args, **kwargs)

    def forward(self, *args, **kwargs):
        """Run the original Module's call as a program."""
        return self._compiled(*args, **kwargs)

    def __reduce__(self):
        # Programs are neither copied nor pickled: a copy compiles anew.
        options = {"audit": self._compiled.audited}
        again = functools.partial(compile, fullgraph=self._compiled.fullgraph, options=options)
        return again, (self._orig_mod,)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_orig_mod"), name)

    def __setattr__(self, name, value):
        own = self.__dict__
        if "_compiled" in own and name not in own and name != "_orig_mod":
            setattr(self._orig_mod, name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name):
        delattr(self._orig_mod, name)
