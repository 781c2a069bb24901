"""A pickler that does not recurse, so that objects may be nested to any depth.

Python's pickler calls itself for each object inside another object and takes three frames a level.
Here each container has a generator. The generator yields each object that the container holds.
When it goes on, that object is written, and the generator writes the opcodes that follow. ``save``
keeps the open generators on its own stack. The bytes are those of ``pickle.Pickler``.
"""

import pickle
from functools import partial
from itertools import islice
from typing import Any

__all__ = ["DeepPickler"]

# The pickler written in Python, because the C pickler cannot write a global under another name.
_Pickler: Any = pickle._Pickler
_TUPLES = [pickle.EMPTY_TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3]


class DeepPickler(_Pickler):
    """Python's pickler, changed so that an object inside another object takes no Python frame."""

    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self._open = []  # a generator for each container that is being written, the inmost last

    def save(self, value, save_persistent_id=True):
        """Write ``value`` and all objects that it holds."""
        outer = self._open
        stack = self._open = []
        begin = super().save  # writes a plain value; of a container it only opens the generator
        try:
            begin(value, save_persistent_id)
            while stack:
                depth = len(stack)
                for inner in stack[-1]:
                    begin(inner)
                    if len(stack) > depth:
                        break  # write the inner container before the outer one goes on
                else:
                    stack.pop()
        finally:
            self._open = outer

    def save_reduce(
        self, func, args, state=None, listitems=None, dictitems=None, state_setter=None, *, obj=None
    ):
        """Write the call ``func(*args)``, then the items and the state that its result gets."""
        if not isinstance(args, tuple):
            raise pickle.PicklingError("args from save_reduce() must be a tuple")
        if not callable(func):
            raise pickle.PicklingError("func from save_reduce() must be callable")
        whole = self._reduced(func, args, state, listitems, dictitems, state_setter, obj)
        if obj is not None:
            self._open.append(whole)
            return
        for inner in whole:  # write all of it now, because the caller writes opcodes after it
            self.save(inner)

    def _reduced(self, func, args, state, listitems, dictitems, state_setter, obj):
        yield from self._built(func, args, obj)
        if obj is not None:
            if id(obj) in self.memo:  # its arguments hold the object itself: it is written already
                self.write(pickle.POP + self.get(self.memo[id(obj)][0]))
            else:
                self.memoize(obj)
        if listitems is not None:
            yield from self._appended(listitems)
        if dictitems is not None:
            yield from self._entered(dictitems)
        if state is None:
            return
        if state_setter is None:
            yield state
            self.write(pickle.BUILD)
        else:
            yield from (state_setter, obj, state)
            self.write(pickle.TUPLE2 + pickle.REDUCE + pickle.POP)

    def _built(self, func, args, obj):
        """Write the object without its state; from protocol 2 on ``cls.__new__`` has opcodes."""
        name = getattr(func, "__name__", "") if self.proto >= 2 else ""
        if name not in ("__newobj__", "__newobj_ex__"):
            yield from (func, args)
            self.write(pickle.REDUCE)
            return
        cls = args[0]
        if not hasattr(cls, "__new__"):
            raise pickle.PicklingError(f"args[0] from {name} args has no __new__")
        if obj is not None and cls is not obj.__class__:
            raise pickle.PicklingError(f"args[0] from {name} args has the wrong class")
        if name == "__newobj__":
            yield from (cls, args[1:])
            self.write(pickle.NEWOBJ)
        elif self.proto >= 4:
            yield from args
            self.write(pickle.NEWOBJ_EX)
        else:
            yield from (partial(cls.__new__, cls, *args[1], **args[2]), ())
            self.write(pickle.REDUCE)

    def _filled(self, items, one, several):
        """Put ``items`` into the container that is being written; each item is a tuple.

        The opcode ``one`` adds a single item, the opcode ``several`` adds a batch of items.
        """
        for batch in self._batches(items):
            many = self.bin and len(batch) > 1
            if many:
                self.write(pickle.MARK)
            for item in batch:
                yield from item
                if not many:
                    self.write(one)
            if many:
                self.write(several)

    def _appended(self, items):
        return self._filled(zip(items), pickle.APPEND, pickle.APPENDS)

    def _entered(self, items):
        return self._filled(items, pickle.SETITEM, pickle.SETITEMS)

    def _batches(self, items):
        items = iter(items)
        while batch := list(islice(items, self._BATCHSIZE)):
            yield batch

    def _list(self, value):
        self.write(pickle.EMPTY_LIST if self.bin else pickle.MARK + pickle.LIST)
        self.memoize(value)
        yield from self._appended(value)

    def _dict(self, value):
        self.write(pickle.EMPTY_DICT if self.bin else pickle.MARK + pickle.DICT)
        self.memoize(value)
        yield from self._entered(value.items())

    def _tuple(self, value):
        n = len(value)
        short = n == 0 or (n < len(_TUPLES) and self.proto >= 2)
        if not short:
            self.write(pickle.MARK)
        yield from value
        if n and id(value) in self.memo:  # the tuple holds itself and is written already
            dropped = pickle.POP * n if short else pickle.POP_MARK
            self.write(dropped + self.get(self.memo[id(value)][0]))
            return
        self.write(_TUPLES[n] if short else pickle.TUPLE)
        if n:
            self.memoize(value)

    def _set(self, value):
        self.write(pickle.EMPTY_SET)
        self.memoize(value)
        for batch in self._batches(value):
            self.write(pickle.MARK)
            yield from batch
            self.write(pickle.ADDITEMS)

    def _frozenset(self, value):
        self.write(pickle.MARK)
        yield from value
        if id(value) in self.memo:  # the frozenset holds itself and is written already
            self.write(pickle.POP_MARK + self.get(self.memo[id(value)][0]))
            return
        self.write(pickle.FROZENSET)
        self.memoize(value)

    def save_tuple(self, value):
        """Open a tuple."""
        self._open.append(self._tuple(value))

    def save_list(self, value):
        """Open a list."""
        self._open.append(self._list(value))

    def save_dict(self, value):
        """Open a dict."""
        self._open.append(self._dict(value))

    def save_set(self, value):
        """Open a set; below protocol 4 a set is written as a call."""
        if self.proto < 4:
            super().save_set(value)
        else:
            self._open.append(self._set(value))

    def save_frozenset(self, value):
        """Open a frozenset; below protocol 4 a frozenset is written as a call."""
        if self.proto < 4:
            super().save_frozenset(value)
        else:
            self._open.append(self._frozenset(value))

    dispatch = {
        **_Pickler.dispatch,
        tuple: save_tuple,
        list: save_list,
        dict: save_dict,
        set: save_set,
        frozenset: save_frozenset,
    }
