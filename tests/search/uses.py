"""What a function does with a value ``v`` that it read, and with the place where it lay."""

__all__ = ["USES", "VALUES", "WRITES"]

#: Values of a kind, as source: equal ones, other ones, and ones of another type.
VALUES = {
    "number": ["2.0", "3.0", "2", "True", "1.5", "4", "7.0", "-1.0", "np.float64(2.0)", "None", "torch.tensor(2.0)", "0.0"],
    "flag": ["True", "False", "1", "0", "None"],
    "text": ["'relu'", "'tanh'", "'sigmoid'", "''.join(['re', 'lu'])", "'exp'"],
    "tensor": [
        "torch.tensor([2.0, 3.0, 5.0])", "torch.full((3,), 4.0)", "torch.ones(3, requires_grad=True)", "torch.ones(1)",
        "torch.arange(3)", "torch.ones(3, dtype=torch.float64)", "torch.ones(6)[::2]", "torch.tensor([2.0, 3.0, 5.0])",
    ],
    "function": [
        "torch.relu", "torch.tanh", "(lambda t: t * 3)", "triple", "functools.partial(torch.mul, other=2)", "nn.Tanh()",
        "scaled_by(3.0)", "scaled_by(4.0)", "Scaling(3.0)", "Scaling(3.0).__call__",
    ],
}  # fmt: skip
VALUE_LINES = """
def triple(t):
    return t * 3


def scaled_by(k):
    return lambda t: t * k


class Scaling:
    def __init__(self, k):
        self.k = k

    def __call__(self, t):
        return t * self.k


WEIGHT_OF_USE = torch.ones(3, requires_grad=True)
"""
#: Statements for each kind, by name.
USES = {
    "number": {
        "scale": "return x * v",
        "add": "return v + x",
        "double": "return x.double() * v",
        "branch": "return x.relu() if v > 2 else -x",
        "equality": "return x * 5 if v == 2 else -x",
        "truth": "return x * 5 if v else -x",
        "type": "return x * 5 if isinstance(v, float) else -x",
        "none": "return -x if v is None else x",
        "choose": "return (torch.relu, torch.tanh, torch.sigmoid)[int(v) % 3](x)",
        "shape": "return x.sum() + torch.ones(int(v) % 4 + 1)",
        "dim": "return x.sum(int(v) % 2)",
        "index": "return x[:, int(v) % 3]",
        "slice": "return x[:, int(v) % 3 :]",
        "loop": "for _ in range(int(v) % 4):\n    x = x * 1.5\nreturn x + 0",
        "text": "return x * len(str(v))",
        "math": "return x * math.sqrt(abs(v))",
        "power": "return x**v",
        "clamp": "return x.clamp(max=v)",
        "full": "return torch.full((2, 3), v) + x",
        "tensor": "return torch.tensor(v) * x",
        "key": "return {2: x * 2, 3: -x}.get(v, x * 0)",
        "given back": "return x * 2, v",
        "gradient": "w = WEIGHT_OF_USE\n(w * x * v).sum().backward()\nreturn w.grad.clone()",
        "in place": "x.mul_(v)\nreturn x",
        "helper": "return F.leaky_relu(x, float(v))",
        "raise": "if v > 2:\n    raise ValueError(str(v))\nreturn -x",
        "set": "return x * 2 if v in {2, 4} else -x",
        "comprehension": "return sum(x * a for a in [1, v])",
    },
    "flag": {
        "branch": "return x.relu() if v else -x",
        "not": "return x.relu() if not v else -x",
        "arithmetic": "return x * v",
        "keyword": "return x.sum(0, keepdim=bool(v))",
        "identity": "return x.relu() if v is True else -x",
        "requires_grad": "return (x * 2).requires_grad_(bool(v))",
        "given back": "return x * 2, v",
        "and": "return (v and x) if v else -x",
        "while": "while v:\n    return x * 3\nreturn -x",
        "assert": "assert v\nreturn x * 2",
    },
    "text": {
        "operation": "return getattr(torch, v)(x)",
        "equality": "return x.relu() if v == 'relu' else -x",
        "table": "return {'relu': torch.relu, 'tanh': torch.tanh}.get(v, torch.exp)(x)",
        "length": "return x * len(v)",
        "startswith": "return x * 2 if v.startswith('r') else -x",
        "match": "match v:\n    case 'relu':\n        return x.relu()\nreturn -x",
        "given back": "return x * 2, v",
        "in": "return x * 2 if 'e' in v else -x",
        "attribute": "return getattr(x, v)()",
        "message": "if v == 'tanh':\n    raise ValueError(v)\nreturn -x",
        "dtype": "return x.to(getattr(torch, {'relu': 'float64'}.get(v, 'float32')))",
    },
    "tensor": {
        "product": "return x * v",
        "sum": "return x + v.sum()",
        "shape": "return x * v.shape[0]",
        "flag": "return x * 2 if v.requires_grad else -x",
        "dtype": "return x * 2 if v.dtype == torch.float32 else -x",
        "gradient": "w = WEIGHT_OF_USE\n(w * x * v).sum().backward()\nreturn w.grad.clone()",
        "element": "return x * v[0]",
        "given back": "return x * 2, v",
        "written": "with torch.no_grad():\n    v.add_(1)\nreturn x * 2",
        "identity": "return x * 2 if v is FIRST_SEEN.setdefault('v', v) else -x",
        "view": "return x * v.view(-1)",
        "stride": "return x * v.stride(0)",
        "contiguous": "return x * 2 if v.is_contiguous() else -x",
    },
    "function": {
        "call": "return v(x)",
        "map": "return list(map(v, [x]))[0]",
        "name": "return x * len(getattr(v, '__name__', ''))",
        "identity": "return x * 2 if v is torch.relu else -x",
        "twice": "return v(v(x))",
        "callable": "return x * callable(v)",
    },
}
#: Statements that write to TARGET, after ``v`` was read.
WRITES = {
    "assign: counter": "TARGET += 1\nreturn x * 2",
    "assign: counter used": "TARGET += 1\nreturn x * TARGET",
    "assign: half": "TARGET = v * 0.5\nreturn x * v",
    "assign: result": "TARGET = (x * 2).sum()\nreturn x * 2",
    "assign: argument": "TARGET = x\nreturn x * 2",
    "assign: constant": "TARGET = 3\nreturn x * 2",
    "assign: none": "TARGET = None\nreturn x * 2",
    "assign: tuple": "TARGET = (x * 2, 1)\nreturn x * 2",
    "assign: swap": "before, TARGET = TARGET, 3.0\nreturn x * 2, before",
    "assign: then raise": "TARGET = 5.0\nif v == 3:\n    raise ValueError\nreturn x * 2",
    "assign: function": "TARGET = triple\nreturn x * 2",
    "assign: detached": "TARGET = x.detach().mean()\nreturn x * 2",
    "assign: new object": "TARGET = types.SimpleNamespace(a=x.sum())\nreturn x * 2",
    "assign: list": "TARGET = [x.sum(), 2]\nreturn x * 2",
    "assign: conditional": "if v == 2:\n    TARGET = 4.0\nreturn x * 2",
    "assign: read later": "TARGET = v + 1 if v else 1\ny = x * 2\nreturn y * TARGET",
}
