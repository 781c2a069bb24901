"""The guards of a compiled call in words, read from the lines that check them."""

import re

import numpy as np

from rushlight.compiler.python.comparisons import is_plain
from rushlight.tensor import Tensor

__all__ = ["conditions"]

_ARRAY = re.compile(
    r"(\w+)\.shape == (\([^)]*\)) and \1\.strides == (\([^)]*\)) and \(\1\.dtype is (\w+)"
)
_FETCHED = re.compile(r"(\w+) = (args\[\d+\]|kwargs\[.*\]|x\d+.*)$")
_ITEM = re.compile(r"(\w+)(?:\.get\('([^']*)'\)|\['([^']*)'\]|\.(\w+))\)* is (\w+)")
_LONGEST = 60


def conditions(entry):
    """The conditions under which a call counts as like the recorded one, each as a phrase."""
    words = _Words(entry.call.__globals__)
    for line in entry.text.splitlines():
        words.read(line.strip())
    return words.all()


class _Words:
    """Collects the phrases while the lines of the guard function are read."""

    def __init__(self, names):
        self.names = names
        self.fetched: dict = {}  # name in the guard function → its expression, such as args[0]
        self.phrases: list = []
        self.modules: dict = {}  # value of ``training`` → class names of modules
        self.same: list = []  # names of the places that must hold the same object
        self.moving = 0  # the number of conditions on the places of the state's tensors and numbers
        self._owners = self._known_owners()

    def read(self, line):
        fetched = _FETCHED.match(line)
        if fetched:
            self.fetched[fetched[1]] = self.fetched.get(fetched[2], fetched[2])
        elif line.startswith("if not ("):
            self._condition(line[len("if not (") :].removesuffix("): return MISS"))
        elif line.startswith("and "):
            self.moving += 1

    def all(self):
        for training, kinds in self.modules.items():
            mode = "training" if training else "evaluation"
            self.phrases.append(f"in {mode} mode: {', '.join(dict.fromkeys(kinds))}")
        if self.same:
            self.phrases.append(f"the same objects: {', '.join(dict.fromkeys(self.same))}")
        if self.moving:
            self.phrases.append(
                "parameters, optimizer state and options are where they were, or others like them"
            )
        return self.phrases

    # One condition ------------------------------------------------------------------------

    def _condition(self, text):
        array = _ARRAY.search(text)
        if array:
            name, shape, _, dtype = array.groups()
            owner = self.fetched.get(name.replace("a", "t"), f"the gradient {name}")
            self.phrases.append(
                f"{owner} is {self.names[dtype].name} of shape {shape}, laid out alike"
            )
        elif text.startswith("(not mode.grad_off"):
            self.phrases.append(f"gradients are {'on' if text.endswith('True') else 'off'}")
        elif text.startswith("state.inference"):
            if text.endswith("True"):
                self.phrases.append("in inference mode")
        elif text.startswith("state.place"):
            if not text.endswith("None"):
                place = self._value(text.split()[-1])
                self.phrases.append(f"new tensors are made on {place}")
        elif ".device is " in text:
            name, place = text.split(".device is ")
            owner = self.fetched.get(name.replace("a", "t"), f"the gradient {name}")
            self.phrases.append(f"{owner} is on {self._value(place)}")
        elif text.startswith("dtypes._default"):
            self.phrases.append(f"the default dtype is {self._shown(text.split()[-1])}")
        elif text.startswith("t") and ".node" in text:
            self._history(text)
        else:
            self._other(text)

    def _history(self, text):
        name = text.split(".")[0]
        owner = self.fetched.get(name, name)
        if text.endswith("is None"):
            self.phrases.append(f"{owner} does not require grad")
        else:
            leaf = "a leaf" if "not t" in text else "the result of an operation"
            self.phrases.append(f"{owner} requires grad and is {leaf}")

    def _other(self, text):
        if text == "not kwargs" or text.startswith(("len(args)", "type(")):
            return
        found = _ITEM.search(text)
        if found is None or found[1] not in self.names:
            if text.startswith(tuple(self.fetched)):
                name = text.split()[0].strip("(")
                self.phrases.append(self._plain(self.fetched.get(name, name), text.split()[-1]))
            return
        name, *keys, known = found.groups()
        key = next(k for k in keys if k is not None)
        value = self._value(known)
        owner = self._owner(self.names[name])
        if key == "training":
            self.modules.setdefault(value, []).append(owner)
        elif key in ("node", "changes") or key.startswith("_"):
            return
        elif is_plain(value):
            self.phrases.append(f"{owner}{'.' if owner else ''}{key} is {value!r}")
        else:
            self.same.append(f"{owner}.{key}" if owner else key)

    def _plain(self, owner, known):
        return f"{owner} is {self._shown(known.strip('()'))}"

    # Names --------------------------------------------------------------------------------

    def _value(self, name):
        constants = {"None": None, "True": True, "False": False}
        return constants[name] if name in constants else self.names.get(name)

    def _shown(self, name):
        text = repr(self._value(name))
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

    def _known_owners(self):
        """id of a dict → the class name of the object whose attributes, or registry, it is."""
        found: dict = {}
        todo = [v for v in self.names.values() if not isinstance(v, (Tensor, np.ndarray, type))]
        for value in todo:
            own = getattr(value, "__dict__", None)
            if type(own) is not dict or callable(own.get("__name__")):
                continue
            name = type(value).__name__
            found[id(own)] = name
            for kind in ("_parameters", "_buffers", "_modules"):
                if type(own.get(kind)) is dict:
                    found[id(own[kind])] = name
        return found

    def _owner(self, value):
        if isinstance(value, dict):
            return "" if "__name__" in value else self._owners.get(id(value), "a dict")
        if type(value).__name__ == "cell":
            return ""
        return type(value).__name__
