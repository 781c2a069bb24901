"""Which modules run at the moment, forward or backward."""

import weakref

from rushlight.autograd import mode
from rushlight.autograd.graph import register_multi_grad_hook
from rushlight.nn.modules import module as _modules
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_leaves

__all__ = ["ModuleTracker"]


class ModuleTracker:
    """Context manager that knows which modules run, by their names within the outermost module.

    >>> import rushlight as torch
    >>> from rushlight.utils.module_tracker import ModuleTracker
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    >>> with ModuleTracker() as tracker:
    ...     hook = model[0].register_forward_pre_hook(lambda *_: print(sorted(tracker.parents)))
    ...     out = model(torch.ones(1, 2))
    ['Global', 'Sequential', 'Sequential.0']
    """

    def __init__(self):
        self._parents = {"Global"}
        self._names: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
        self._seen: weakref.WeakSet = weakref.WeakSet()  # modules whose children have names
        self._handles: list = []
        self._pass = False  # a backward pass has added names

    @property
    def parents(self):
        """The names of the running modules, and "Global"."""
        if self._pass and not self.is_bw:  # the pass ended, at whatever modules it was
            self._parents, self._pass = {"Global"}, False
        return self._parents

    @property
    def is_bw(self):
        """Whether a backward pass is running."""
        return bool(mode.state.in_rule)

    def __enter__(self):
        self._handles = [
            _modules.register_module_forward_pre_hook(self._begin),
            _modules.register_module_forward_hook(self._end),
        ]
        return self

    def __exit__(self, *error):
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _name(self, module):
        name = self._names.setdefault(module, type(module).__name__)
        if module not in self._seen:
            for key, child in module.named_children():
                self._names[child] = f"{name}.{key}"
                self._name(child)
            self._seen.add(module)
        return name

    def _begin(self, module, args):
        name = self._name(module)
        self.parents.add(name)
        self._watch(args, lambda *_: self.parents.discard(name))

    def _end(self, module, args, result):
        name = self._name(module)
        self.parents.discard(name)

        def enter(*_):
            self._pass = True
            self.parents.add(name)

        self._watch(result, enter)

    def _watch(self, values, then):
        """Call ``then`` when all tensors in ``values`` have their gradients."""
        tensors = [t for t in tree_leaves(values) if isinstance(t, Tensor) and t.requires_grad]
        if tensors:
            self._handles.append(register_multi_grad_hook(tensors, then))
