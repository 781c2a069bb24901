"""vmap's ``in_dims`` and ``out_dims``: which trees fit which arguments and results, as in PyTorch."""

import random
from collections import OrderedDict, defaultdict, namedtuple

import pytest

import rushlight

TREES = (
    "x", "(x,)", "[x]", "(x,x)", "[x,x]", "{'a':x}", "{'a':x,'b':x}", "(x,(x,x))", "[(x,),x]",
    "{'a':[x,x]}", "[[x],{'b':x}]", "D(int,{'a':x,'b':x})", "O({'a':x})",
    "P(x,x)", "(x,P([x],x))", "Q(x,x)", "{'b':x,'a':x}",
)  # fmt: skip
LEAVES = "0", "1", "None", "-1", "0.5", "'s'"
OTHERS = "'s'", "None", "3"
P, Q = [namedtuple(name, "a b") for name in "PQ"]
KEPT = {"D": defaultdict, "O": OrderedDict, "int": int, "P": P, "Q": Q}


def drawn(chance, tree, leaves):
    """The text of ``tree`` with a leaf for each x."""
    return "".join([chance.choice(leaves) if c == "x" else c for c in tree])


def outcome(torch, call):
    """The error's class, or the result with lists of numbers in the place of tensors."""

    def plain(x):
        if isinstance(x, torch.Tensor):
            return x.tolist()
        if isinstance(x, dict):
            return {key: plain(value) for key, value in x.items()}
        if isinstance(x, (P, Q)):
            return type(x).__name__, plain(x.a), plain(x.b)
        return type(x)([plain(y) for y in x]) if isinstance(x, (list, tuple)) else x

    try:
        return plain(call(torch))
    except Exception as error:
        return next(c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")


def leaf_sum(torch, tree):
    parts = tree.values() if isinstance(tree, dict) else tree
    return tree if isinstance(tree, torch.Tensor) else sum(leaf_sum(torch, part) for part in parts)


@pytest.mark.parity
def test_trees_of_dims_found_at_random():
    peer = pytest.importorskip("torch")
    chance = random.Random(0)
    for _ in range(900):
        given = chance.choice(TREES)
        fitting = chance.random() < 0.5
        dims = drawn(chance, given if fitting else chance.choice(TREES), LEAVES)
        top = chance.choice([f"({dims},)", f"({dims},)", dims, "0"])
        found = chance.choice(TREES)
        result = "".join(
            [chance.choice(OTHERS) if c == "x" and chance.random() < 0.2 else c for c in found]
        )
        out = drawn(chance, found if chance.random() < 0.6 else chance.choice(TREES), LEAVES)
        out = chance.choice([out, out, f"({out},)", "0"])
        chunk = chance.choice([None, None, 1])
        if found == "x" and out.startswith("("):
            chunk = None  # PyTorch takes (1,) for one tensor, but not in chunks

        def call(torch, given=given, top=top, result=result, out=out, chunk=chunk):
            x = torch.arange(4.0).reshape(2, 2)
            argument = eval(given, {"x": x, **KEPT})
            function = lambda tree: eval(result, {"x": leaf_sum(torch, tree), **KEPT})
            mapped = torch.vmap(function, eval(top, KEPT), eval(out, KEPT), chunk_size=chunk)
            return mapped(argument)

        ours, theirs = outcome(rushlight, call), outcome(peer, call)
        what = f"{given} by {top} to {result} by {out}, chunk_size={chunk}"
        if isinstance(theirs, str) and theirs.endswith("Error"):
            assert isinstance(ours, str) and ours.endswith("Error"), what
        else:
            assert ours == theirs, what
