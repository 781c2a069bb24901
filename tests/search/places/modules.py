"""What Modules and optimizers keep."""

from tests.search.places.place import Place, of_attribute

_CALL = ("number",)


def of_module(name, setup, read, *changes, **rest):
    """A place whose value is a tensor, or a number that is read through Modules."""
    return Place(name, setup, read, changes, **{"kinds": ("tensor",), **rest})


_SCALED = """class Scaled(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, x):
        return x * self.k
"""

PLACES = [
    of_attribute(
        "Module's attribute",
        _SCALED + "\nSCALED = Scaled(VALUE)",
        "SCALED",
        changes=("del SCALED.k", "Scaled.k = VALUE"),
    ),
    of_attribute(
        "attribute of a submodule",
        _SCALED.replace("Scaled", "Part") + "\nWHOLE = nn.Sequential(nn.ReLU(), Part(VALUE))",
        "WHOLE[1]",
        changes=("WHOLE[1] = Part(VALUE)",),
    ),
    of_attribute(
        "Module's attribute through a call",
        _SCALED.replace("Scaled", "Called") + "\nCALLEE = Called(VALUE)",
        "CALLEE",
    ),
    of_module(
        "buffer",
        "BUFFERED = nn.Module()\nBUFFERED.register_buffer('k', VALUE)",
        "BUFFERED.k",
        "BUFFERED.k = VALUE", "BUFFERED.k.mul_(2)", "BUFFERED._buffers['k'] = VALUE", "BUFFERED.k.data = VALUE",
        attribute=("BUFFERED", "k"), target="BUFFERED.k",
    ),
    of_module(
        "parameter",
        "OWNED = nn.Module()\nOWNED.k = nn.Parameter(VALUE)",
        "OWNED.k",
        "OWNED.k = nn.Parameter(VALUE)", "OWNED.k.data.mul_(2)", "OWNED._parameters['k'] = nn.Parameter(VALUE)",
        "OWNED.k.data = VALUE", "OWNED.k.requires_grad_(False)", "OWNED.load_state_dict({'k': VALUE})",
        attribute=("OWNED", "k"),
    ),
    of_module(
        "Module's list", "LISTED = nn.Module()\nLISTED.rates = [VALUE]", "LISTED.rates[0]", "LISTED.rates[0] = VALUE",
        "LISTED.rates = [VALUE]", "LISTED.rates.insert(0, VALUE)", kinds=("number", "text", "tensor", "function"),
        sequence="LISTED.rates",
    ),
    of_module(
        "training flag", "TRAINED = nn.Dropout(0.5)", "TRAINED.training", "TRAINED.eval()", "TRAINED.train()",
        "TRAINED.training = False", kinds=("flag",), attribute=("TRAINED", "training"), target="TRAINED.training",
    ),
    of_module(
        "training flag of a part", "EVALUATED = nn.Sequential(nn.ReLU(), nn.Dropout(1.0))", "EVALUATED(torch.ones(3))",
        "EVALUATED.eval()", "EVALUATED[1].eval()", "EVALUATED.train()",
    ),
    of_module(
        "dropout's rate", "DROPOUT = nn.Dropout(1.0)", "DROPOUT(torch.ones(3))", "DROPOUT.p = 0.0", "DROPOUT.p = 1.0"
    ),
    of_module(
        "Sequential", "SEQUENTIAL = nn.Sequential(nn.ReLU(), nn.Tanh())", "SEQUENTIAL(torch.ones(3))",
        "SEQUENTIAL.append(nn.Softplus())", "SEQUENTIAL[0] = nn.Sigmoid()", "SEQUENTIAL.insert(0, nn.Sigmoid())",
        "del SEQUENTIAL[-1]", "SEQUENTIAL._modules['0'] = nn.Softplus()", "SEQUENTIAL._modules['z'] = nn.Softplus()",
        "SEQUENTIAL._modules.clear()",
    ),
    of_module(
        "loop over a ModuleList",
        "PARTS = nn.ModuleList([nn.Tanh()])\n\ndef through_parts(y):\n    for part in PARTS:\n        y = part(y)\n    return y",
        "through_parts(torch.ones(3))", "PARTS.append(nn.Sigmoid())", "PARTS.insert(0, nn.Softplus())",
        "PARTS[0] = nn.Sigmoid()", "PARTS.extend([nn.ELU()])",
    ),
    of_module(
        "loop over a ModuleDict",
        "NAMED_PARTS = nn.ModuleDict({'a': nn.Tanh()})\n\ndef through_named(y):\n    for name, part in NAMED_PARTS.items():\n        y = part(y) + len(name)\n    return y",
        "through_named(torch.ones(3))", "NAMED_PARTS.update({'bc': nn.Sigmoid()})", "NAMED_PARTS['a'] = nn.Softplus()",
        "NAMED_PARTS['d'] = nn.ELU()", "NAMED_PARTS.pop('a')",
    ),
    of_module(
        "ParameterList", "WEIGHTS = nn.ParameterList([torch.ones(3)])", "sum(WEIGHTS)",
        "WEIGHTS.append(torch.ones(3))", "WEIGHTS[0] = nn.Parameter(torch.ones(3) * 3)",
    ),
    of_module(
        "ParameterDict", "WEIGHT_TABLE = nn.ParameterDict({'a': torch.ones(3)})", "sum(WEIGHT_TABLE.values())",
        "WEIGHT_TABLE['b'] = torch.ones(3)", "WEIGHT_TABLE['a'] = nn.Parameter(torch.ones(3) * 3)",
    ),
    *(
        of_module(
            f"loop over {loop}",
            f"class Loop_{loop.strip('()')}(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a, self.b = nn.Linear(1, 3), nn.BatchNorm1d(3)\n\nLOOP_{loop.strip('()').upper()} = Loop_{loop.strip('()')}()",
            read.replace("M", f"LOOP_{loop.strip('()').upper()}"),
            *(c.replace("M", f"LOOP_{loop.strip('()').upper()}") for c in (
                "M.c = nn.BatchNorm1d(3)", "M._modules['d'] = nn.BatchNorm1d(3)", "M._parameters['e'] = nn.Parameter(torch.ones(3))",
                "M._buffers['g'] = torch.ones(3)", "M.register_buffer('h', torch.ones(3))", "del M.b", "M.a.weight.data.fill_(3.0)",
            )),
            kinds=("number",) if "len" in read else ("tensor",),
        )
        for loop, read in {
            "children()": "float(len([*M.children()]))",
            "modules()": "float(len([*M.modules()]))",
            "parameters()": "sum(p.sum() for p in M.parameters())",
            "named_parameters()": "sum(p.sum() * len(n) for n, p in M.named_parameters())",
            "buffers()": "sum(b.sum() for b in M.buffers())",
            "state_dict()": "sum(v.sum() for v in M.state_dict().values())",
        }.items()
    ),
    of_module(
        "get_parameter", "GOTTEN = nn.Sequential(nn.Linear(1, 3))", "GOTTEN.get_parameter('0.bias')",
        "GOTTEN[0].bias = nn.Parameter(torch.ones(3) * 7)", "GOTTEN[0] = nn.Linear(1, 3, dtype=torch.float32)",
    ),
    of_module(
        "forward hook", "HOOKED = nn.Tanh()", "HOOKED(torch.ones(3))",
        "HOOKED.register_forward_hook(lambda m, a, out: out * 3)",
        "HOOKED.register_forward_pre_hook(lambda m, a: (a[0] * 3,))",
    ),
    of_module(
        "forward hook's state", "HOOK_STATE = [VALUE]\nWITH_HOOK = nn.Tanh()\nWITH_HOOK.register_forward_hook(lambda m, a, out: out * HOOK_STATE[0])",
        "WITH_HOOK(torch.ones(3))", "HOOK_STATE[0] = VALUE",
    ),
    of_module(
        "forward replaced", "REPLACED = nn.Tanh()", "REPLACED(torch.ones(3))", "REPLACED.forward = torch.relu",
        "del REPLACED.forward",
    ),
    of_module(
        "global forward hook", "GLOBAL_HOOKED = nn.Tanh()\nHANDLES = []", "GLOBAL_HOOKED(torch.ones(3))",
        "HANDLES.append(nn.modules.module.register_module_forward_hook(lambda m, a, out: out * 3))",
        restore="[h.remove() for h in HANDLES]",
    ),
    of_module(
        "a Linear's parts", "LINEAR = nn.Linear(3, 3)", "LINEAR(torch.ones(3))", "LINEAR.bias = None",
        "LINEAR.weight = nn.Parameter(torch.ones(3, 3))", "LINEAR.weight.data = torch.ones(3, 3) * 2",
        "LINEAR.to(torch.float64)", "LINEAR.double().float()",
    ),
    of_module(
        "BatchNorm's numbers", "NORM = nn.BatchNorm1d(3)", "NORM(torch.arange(6.0).reshape(2, 3))", "NORM.momentum = 0.5",
        "NORM.eps = 1.0", "NORM.eval()", "NORM.track_running_stats = False", "NORM.running_mean = torch.ones(3)",
        look="NORM.running_mean, NORM.num_batches_tracked",
    ),
    of_module(
        "extra_repr", "REPR = nn.Linear(1, 3)", "float(len(repr(REPR)))", "REPR.in_features = 10000",
        "REPR.extra = nn.ReLU()", kinds=_CALL,
    ),
    Place(
        "optimizer's option",
        "OPTIMIZED = torch.nn.Parameter(torch.ones(3))\nOPTIMIZER = torch.optim.SGD([OPTIMIZED], lr=VALUE)",
        "OPTIMIZER.param_groups[0]['lr']",
        ("OPTIMIZER.param_groups[0]['lr'] = VALUE", "OPTIMIZER.param_groups[0].update(lr=VALUE)"),
        kinds=("number",),
        item=("OPTIMIZER.param_groups[0]", "'lr'"),
    ),
    Place(
        "optimizer's groups", "GROUPED = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.5)",
        "sum(group['lr'] for group in GROUPED.param_groups)",
        ("GROUPED.add_param_group({'params': [torch.nn.Parameter(torch.ones(2))]})", "GROUPED.param_groups[0]['lr'] = VALUE"),
        kinds=("number",),
    ),
    Place(
        "optimizer's state", "KEPT = torch.nn.Parameter(torch.ones(3))\nKEEPING = torch.optim.SGD([KEPT], lr=0.5, momentum=0.9)\nKEPT.grad = torch.ones(3)",
        "float(len(KEEPING.state))", ("KEEPING.step()", "KEEPING.state.clear()"), kinds=("number",),
    ),
    Place(
        "scheduler's rate", "SCHEDULED = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.5)\nSCHEDULER = torch.optim.lr_scheduler.StepLR(SCHEDULED, 1, 0.5)",
        "SCHEDULER.get_last_lr()[0]", ("SCHEDULED.step(); SCHEDULER.step()",), kinds=("number",),
    ),
    Place(
        "scheduler's count", "COUNTED = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.5)\nCOUNTS = torch.optim.lr_scheduler.StepLR(COUNTED, 1, 0.5)",
        "COUNTS.last_epoch", ("COUNTED.step(); COUNTS.step()", "COUNTS.last_epoch = 5"), kinds=("number",),
    ),
]  # fmt: skip
