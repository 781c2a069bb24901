"""Record a call for export: the equations computed, and the tensors that they read."""

from rushlight.autograd import mode
from rushlight.compiler.calls.entry import recording_lock
from rushlight.compiler.calls.escapes import assignments
from rushlight.compiler.capture.lowering import recording
from rushlight.compiler.capture.replay_recorder import ReplayRecorder
from rushlight.compiler.python.observer import Observer
from rushlight.errors import TraceError
from rushlight.tensor import Tensor

__all__ = ["Recording", "flatten", "rebuilt"]


def flatten(tree, found=None):
    """The leaves of nested tuples, lists and dicts, in order."""
    found = [] if found is None else found
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, (tuple, list)):
        for part in tree:
            flatten(part, found)
    else:
        found.append(tree)
    return found


def rebuilt(tree, leaves):
    """Copy ``tree``, with each leaf replaced by the next item of the iterator ``leaves``."""
    if isinstance(tree, dict):
        items = [(key, rebuilt(part, leaves)) for key, part in tree.items()]
        try:
            return type(tree)(items)
        except TypeError:  # a subclass of dict with another constructor
            return dict(items)
    if isinstance(tree, (tuple, list)):
        parts = [rebuilt(part, leaves) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return next(leaves)


class Recording:
    """One recorded call of a function.

    Attributes:
        equations: The operations computed, in order.
        arguments: For each leaf of the arguments, its recorded value if the leaf is a tensor, else
            None.
        state: [(tensor, value)] of the tensors that the call read without being given them.
        writes: [(tensor, new value)] of the existing tensors that the call changed.
        results: For each leaf of the function's result, its recorded value, or the leaf itself if
            it is a constant.
        tree: The function's result, with each leaf replaced by the leaf's position in ``results``.

    Raises:
        TraceError: The call depends on a tensor's values, or stores traced tensors in objects.
    """

    def __init__(self, function, args, kwargs):
        leaves = flatten((args, kwargs))
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        recorder = ReplayRecorder(tensors, observe=Observer)
        recorder.exporting = True
        recorder.observer.lenient = True
        with recording_lock:
            try:
                with recording(recorder):
                    mode.set_grad(recorder.differentiates)
                    with recorder.observer.origins, recorder.observer:
                        # The list is the only holder of the result, so that `_take` can release it.
                        box = [function(*args, **kwargs)]
                    if recorder.refused is not None:
                        raise recorder.refused
                    self._take(box, recorder, leaves)
            finally:
                recorder.observer.__exit__()  # again, for an interrupt at its beginning
                recorder.restore()
                for undo in recorder.undo:
                    undo()
                recorder.observer.effects.take_back()

    def _take(self, box, recorder, leaves):
        gave = box.pop()
        results = flatten(gave)
        traced = [x for x in results if isinstance(x, Tensor)]
        self.results = [recorder.value(x) for x in results]
        self.tree = rebuilt(gave, iter(range(len(results))))
        del gave, results
        _demand_nothing_left(recorder, traced)
        known = recorder.captured.items()
        places = {c.get: c.value for _, c in known if type(c.get) is int}
        count = iter(range(len(leaves)))
        keys = [next(count) if isinstance(x, Tensor) else None for x in leaves]
        self.arguments = [None if k is None else places.get(k) for k in keys]
        self.state = [(c.tensor, c.value) for _, c in known if type(c.get) is not int]
        if recorder.lives:
            raise TraceError("torch.export: the call reads a number that is read again at each run")
        self.writes = [
            (recorder.captured[key].tensor, recorder.outer[key].value) for key in recorder.written
        ]
        self.equations = recorder.equations


def _demand_nothing_left(recorder, traced):
    left = assignments(recorder.made, traced)
    if left:
        owner, target, _ = left[0]
        raise TraceError(
            f"torch.export: the call leaves a tensor in {target.format(type(owner).__name__)}; "
            "return it instead"
        )
