"""Deferred calls: the steps of schedulers, which run before or after the program of a call.

A scheduler's step runs Python code, so a program cannot contain it. A step that comes before the
optimizer's step sets options that the program reads: such steps run before the program. The other
steps run after it.
"""

from rushlight.compiler.python.locations import in_words
from rushlight.compiler.run.handlers import is_of_handler
from rushlight.errors import TraceError
from rushlight.ours import is_ours
from rushlight.tensor import Tensor

__all__ = ["Deferred"]


class Deferred:
    """The calls that a recording deferred.

    Attributes:
        first: The lines of the calls that run before the program.
        last: The lines of the calls that run after it.
    """

    def __init__(self, source, recorder, results):
        calls, recorder.calls = recorder.calls, []
        ahead = recorder.first_calls
        if any(isinstance(v, Tensor) for _, args, named in calls[:ahead]
               for v in (*args, *named.values())):  # fmt: skip
            raise TraceError(
                "inside torch.compile, a learning rate that depends on a tensor's value was set "
                "before the optimizer's step that reads it"
            )
        before = len(results.made)
        self.first = [_line(source, results, *call) for call in calls[:ahead]]
        self.first[:0] = results.made[before:]
        del results.made[before:]
        self.last = [_line(source, results, *call) for call in calls[ahead:]]
        schedulers = [args[0] for _, args, _ in calls]
        self._ahead = schedulers[:ahead]
        self._may_read = any(map(_runs_users_code, schedulers))

    def add_first(self, source, held, eager):
        """Add the lines that read the numbers of ``held``, and between them make the first calls.

        If such a deferred call fails, its effects are taken back, and ``eager`` runs instead.
        """
        if not self.first:
            held.number_lines(())
            return
        source.line(f"back = {source.name(_remember)}({source.name(self._ahead)})")
        with source.block("try:"):
            held.number_lines(self.first)
        with source.block("except BaseException as error:"):
            source.line("back()")
            ends = source.name(is_of_handler)
            source.line(f"if not isinstance(error, Exception) or {ends}(error): raise")
            source.line(f"return {eager}")

    def precede(self, effects, owner, target):
        """Whether a place must be written after all deferred calls, which may read it.

        Raises:
            TraceError: the function writes the place between deferred calls, or before one that
                runs after the program.
        """
        times = effects.written_at(owner, target)
        if not self._may_read or times is None:
            return False
        first, count = len(self._ahead), len(self._ahead) + len(self.last)
        if first == times[0] == times[1]:
            return False
        if times[0] < count:
            raise TraceError(
                f"the function changes {in_words(target)} and takes a scheduler's step, which may "
                "read it and comes before or after the program; do one of them outside "
                "torch.compile"
            )
        return True


def _line(source, results, function, args, named):
    given = [results.expression(v) for v in args]
    given += [f"{key}={results.expression(v)}" for key, v in named.items()]
    return f"{source.name(function)}({', '.join(given)})"


def _remember(schedulers):
    """A function that restores the present state of schedulers and of the options they set."""
    owners: list = []
    schedulers = [*schedulers]
    for scheduler in schedulers:  # the list grows during the loop
        owners += [vars(scheduler), *scheduler.optimizer.param_groups]
        schedulers += vars(scheduler).get("_schedulers", ())
    before = [(own, own.copy()) for own in owners]
    rates = [own["lr"] for own in owners if isinstance(own.get("lr"), Tensor)]
    arrays = [(rate._array, rate._array.copy()) for rate in rates]

    def back():
        for own, values in before:
            own.clear()
            own.update(values)
        for array, values in arrays:
            array[...] = values

    return back


def _runs_users_code(scheduler):
    """Whether the steps of a scheduler call functions of the user, as those of LambdaLR do."""
    if not is_ours(scheduler):
        return True
    for value in vars(scheduler).values():
        for x in value if isinstance(value, list | tuple) else (value,):
            inner = hasattr(x, "optimizer") and hasattr(x, "step")
            if _runs_users_code(x) if inner else callable(x) and not is_ours(x):
                return True
    return False
