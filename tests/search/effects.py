"""What a function does to the world besides: each with its lines of the module and what it leaves."""

from dataclasses import dataclass

__all__ = ["EFFECTS", "Effect"]


@dataclass(frozen=True)
class Effect:
    """Statements of a function that leave something outside.

    Attributes:
        lines: Lines of the module that they need.
        statements: What the function does, where ``x`` and ``v`` are at hand.
        look: An expression for what was left.
        restore: Statements that leave the process as it was.
    """

    lines: str
    statements: str
    look: str
    restore: str = "pass"


EFFECTS = {
    "append": Effect("LOG = []", "LOG.append(1)", "LOG"),
    "append a tensor": Effect("LOSSES = []", "LOSSES.append(x.sum())", "LOSSES"),
    "append a detached tensor": Effect("SEEN_LOSSES = []", "SEEN_LOSSES.append(x.detach().mean())", "SEEN_LOSSES"),
    "extend": Effect("EXTENDED = [0]", "EXTENDED += [x.sum()]", "EXTENDED"),
    "pop": Effect("STACK = [1, 2, 3, 4, 5, 6, 7, 8]", "STACK.pop()", "STACK"),
    "dict entry": Effect("ENTRIES = {}", "ENTRIES['loss'] = x.sum()", "ENTRIES"),
    "dict entry by count": Effect("BY_COUNT = {}", "BY_COUNT[len(BY_COUNT)] = 2.0", "BY_COUNT"),
    "dict update": Effect("UPDATED = {}", "UPDATED.update(a=x.mean(), b=2)", "UPDATED"),
    "setdefault": Effect("SET_ONCE = {}", "SET_ONCE.setdefault('a', x.mean())", "SET_ONCE"),
    "counter": Effect("COUNTED_CALLS = 0", "global COUNTED_CALLS\nCOUNTED_CALLS += 1", "COUNTED_CALLS"),
    "counter used": Effect("STEPS = {'n': 0}", "STEPS['n'] += 1\nx = x * STEPS['n']", "STEPS"),
    "counter that branches": Effect("TURNS = [0]", "TURNS[0] += 1\nx = x * 2 if TURNS[0] % 2 else -x", "TURNS"),
    "counter in a helper": Effect("class Metre:\n    n = 0\n\n    def tick(self):\n        self.n += 1\n        return self\n\nMETRE = Metre()", "METRE.tick()", "METRE.n"),
    "running mean": Effect("RUNNING = types.SimpleNamespace(mean=0.0)", "RUNNING.mean = 0.9 * RUNNING.mean + 0.1 * x.mean()", "RUNNING.mean"),
    "kept argument": Effect("KEEPER = types.SimpleNamespace(x=None)", "KEEPER.x = x", "KEEPER.x"),
    "kept result": Effect("RESULTS = types.SimpleNamespace(y=None)", "RESULTS.y = x * 2\nx = RESULTS.y + 1", "RESULTS.y"),
    "kept earlier": Effect("EARLIER = types.SimpleNamespace(y=torch.zeros(()))", "x = x + EARLIER.y\nEARLIER.y = x.detach().sum()", "EARLIER.y"),
    "deque": Effect("RECENT = collections.deque(maxlen=2)", "RECENT.append(x.sum())", "RECENT"),
    "set": Effect("SHAPES = set()", "SHAPES.add(x.shape)", "sorted(SHAPES)"),
    "deleted attribute": Effect("SHED = types.SimpleNamespace(a=1)", "SHED.__dict__.pop('a', None)", "SHED"),
    "computed attribute": Effect("MADE = types.SimpleNamespace(n=0)", "MADE.n += 1\nsetattr(MADE, f'loss_{MADE.n}', x.sum())", "MADE"),
    "property": Effect("class Setting:\n    kept = 0\n\n    @property\n    def k(self):\n        return self.kept\n\n    @k.setter\n    def k(self, value):\n        self.kept = value\n\nSETTING = Setting()", "SETTING.k = SETTING.k + 1", "SETTING.kept"),
    "class attribute": Effect("class Shared:\n    n = 0", "Shared.n += 1", "Shared.n"),
    "function attribute": Effect("def ticking():\n    ticking.n += 1\n\nticking.n = 0", "ticking()", "ticking.n"),
    "nonlocal": Effect("def make_counter():\n    n = 0\n\n    def count():\n        nonlocal n\n        n += 1\n        return n\n\n    return count, lambda: n\n\ncount, counted = make_counter()", "x = x * count()", "counted()"),
    "generator": Effect("def numbers():\n    n = 0\n    while True:\n        n += 1\n        yield n\n\nNUMBERS = numbers()", "x = x * next(NUMBERS)", "NUMBERS.gi_frame.f_locals['n']"),
    "print": Effect("WRITTEN_LINES = io.StringIO()", "print('a line', file=WRITTEN_LINES)", "WRITTEN_LINES.getvalue()"),
    "warning": Effect("WARNED = []\n\ndef warn():\n    WARNED.append(1)\n    warnings.warn('seen', stacklevel=2)", "warn()", "WARNED"),
    "log": Effect("class Handler(logging.Handler):\n    lines = []\n\n    def emit(self, record):\n        self.lines.append(record.getMessage())\n\nLOGGED_BY = logging.getLogger('rushlight.logged')\nLOGGED_BY.addHandler(Handler())", "LOGGED_BY.warning('step')", "Handler.lines", "LOGGED_BY.handlers.clear()"),
    "environment": Effect("", "os.environ['RUSHLIGHT_LEFT'] = str(len(os.environ.get('RUSHLIGHT_LEFT', '')))", "os.environ.get('RUSHLIGHT_LEFT')", "os.environ.pop('RUSHLIGHT_LEFT', None)"),
    "ContextVar": Effect("LEFT = contextvars.ContextVar('LEFT', default=0)", "LEFT.set(LEFT.get() + 1)", "LEFT.get()"),
    "file": Effect("LEFT_FILE = __file__ + '.left'", "with open(LEFT_FILE, 'a') as file:\n    file.write('.')", "open_and_read(LEFT_FILE)"),
    "NumPy array": Effect("NUMPY_LEFT = np.zeros(3)", "NUMPY_LEFT[0] += 1", "NUMPY_LEFT"),
    "NumPy array's tensor": Effect("NUMPY_UNDER = np.ones(3, dtype=np.float32)", "torch.from_numpy(NUMPY_UNDER).mul_(2)", "NUMPY_UNDER"),
    "array.array": Effect("ARRAY_LEFT = array.array('d', [0.0])", "ARRAY_LEFT[0] += 1", "ARRAY_LEFT[0]"),
    "bytearray": Effect("BYTES_LEFT = bytearray(2)", "BYTES_LEFT[0] += 1", "BYTES_LEFT[0]"),
    "tensor in place": Effect("IN_PLACE = torch.ones(3)", "IN_PLACE.add_(1)", "IN_PLACE"),
    "tensor entry": Effect("ENTRY = torch.ones(3)", "ENTRY[0] = x.detach().sum()", "ENTRY"),
    "argument in place": Effect("", "with torch.no_grad():\n    x.mul_(2)", "0"),
    "argument's view in place": Effect("", "with torch.no_grad():\n    x[..., :1].add_(1)", "0"),
    "detached in place": Effect("", "x.detach().add_(1)", "0"),
    "out": Effect("OUT = torch.zeros(3)", "torch.mul(IN_OUT := torch.ones(3), 2, out=OUT)", "OUT"),
    "buffer": Effect("NORMED = nn.BatchNorm1d(3)", "NORMED(torch.arange(6.0).reshape(2, 3))", "NORMED.running_mean, NORMED.num_batches_tracked"),
    "buffer assigned": Effect("OWNER = nn.Module()\nOWNER.register_buffer('b', torch.zeros(()))", "OWNER.b = OWNER.b + x.detach().sum()", "OWNER.b"),
    "gradient": Effect("LEAF = torch.ones(3, requires_grad=True)", "(LEAF * 2).sum().backward()", "LEAF"),
    "gradient set to None": Effect("EMPTIED = torch.ones(3, requires_grad=True)", "(EMPTIED * x.detach().sum()).sum().backward()\nx = x * EMPTIED.grad.sum()\nEMPTIED.grad = None", "EMPTIED"),
    "optimizer": Effect("P = nn.Parameter(torch.ones(3))\nSGD = torch.optim.SGD([P], lr=0.1, momentum=0.9)", "SGD.zero_grad()\n(P * P).sum().backward()\nSGD.step()", "P, SGD.state[P]"),
    "Adam": Effect("Q = nn.Parameter(torch.ones(3))\nADAM = torch.optim.Adam([Q], lr=0.1)", "ADAM.zero_grad()\n(Q * Q).sum().backward()\nADAM.step()", "Q, ADAM.state[Q]"),
    "scheduler": Effect("R = nn.Parameter(torch.ones(3))\nSGD_R = torch.optim.SGD([R], lr=0.1)\nSTEP_R = torch.optim.lr_scheduler.StepLR(SGD_R, 2)", "SGD_R.zero_grad()\n(R * R).sum().backward()\nSGD_R.step()\nSTEP_R.step()", "R, SGD_R.param_groups[0]['lr'], STEP_R.last_epoch"),
    "option": Effect("S = nn.Parameter(torch.ones(3))\nSGD_S = torch.optim.SGD([S], lr=0.1)", "SGD_S.param_groups[0]['lr'] *= 0.5\n(S * S).sum().backward()\nSGD_S.step()", "S, SGD_S.param_groups[0]['lr']"),
    "hook": Effect("HOOKED_GRADS = []\nHOOK_LEAF = torch.ones(3, requires_grad=True)", "y = HOOK_LEAF * 2\ny.register_hook(lambda g: HOOKED_GRADS.append(g * 2))\ny.sum().backward()", "HOOKED_GRADS, HOOK_LEAF"),
    "hook that counts": Effect("HOOK_CALLS = [0]\nHOOK_OF = torch.ones(3, requires_grad=True)\n\ndef count_hook(g):\n    HOOK_CALLS[0] += 1\n    return g * 2", "y = HOOK_OF * 2\ny.register_hook(count_hook)\ny.sum().backward()", "HOOK_CALLS, HOOK_OF"),
    "hook on a leaf": Effect("LEAF_GRADS = []\nWITH_HOOK_LEAF = torch.ones(3, requires_grad=True)\nWITH_HOOK_LEAF.register_hook(lambda g: LEAF_GRADS.append(g.sum()))", "(WITH_HOOK_LEAF * 2).sum().backward()", "LEAF_GRADS"),
    "post accumulate hook": Effect("POST = []\nPOST_LEAF = torch.ones(3, requires_grad=True)\nPOST_LEAF.register_post_accumulate_grad_hook(lambda p: POST.append(p.grad.sum()))", "(POST_LEAF * 2).sum().backward()", "POST, POST_LEAF"),
    "post accumulate hook inside": Effect("POST_IN = []\nPOST_IN_LEAF = torch.ones(3, requires_grad=True)", "h = POST_IN_LEAF.register_post_accumulate_grad_hook(lambda p: POST_IN.append(p.grad.sum()))\n(POST_IN_LEAF * 2).sum().backward()\nh.remove()", "POST_IN, POST_IN_LEAF"),
    "multi-grad hook": Effect("MULTI = []\nMULTI_LEAF = torch.ones(3, requires_grad=True)", "a, b = MULTI_LEAF * 2, MULTI_LEAF * 3\ntorch.autograd.graph.register_multi_grad_hook([a, b], lambda gs: MULTI.append(sum(gs)))\n(a + b).sum().backward()", "MULTI, MULTI_LEAF"),
    "retained grad": Effect("RETAINED = []\nRETAIN_LEAF = torch.ones(3, requires_grad=True)", "y = RETAIN_LEAF * 2\ny.retain_grad()\ny.sum().backward()\nRETAINED.append(y.grad)", "RETAINED, RETAIN_LEAF"),
    "forward hook inside": Effect("OUTPUTS = []\nMODULE_HOOKED = nn.Tanh()", "h = MODULE_HOOKED.register_forward_hook(lambda m, a, out: OUTPUTS.append(out))\nMODULE_HOOKED(x * 1.0)\nh.remove()", "OUTPUTS"),
    "eval": Effect("MOVED = nn.Dropout(0.5)", "MOVED.eval()\nx = MOVED(x)", "MOVED.training"),
    "train flag turns": Effect("TURNING = nn.Dropout(1.0)", "x = TURNING(x * 1.0)\nTURNING.train(not TURNING.training)", "TURNING.training"),
    "module added": Effect("GROWING = nn.Sequential(nn.Tanh())", "if len(GROWING) < 3:\n    GROWING.append(nn.Tanh())\nx = GROWING(x * 1.0)", "len(GROWING)"),
    "requires_grad": Effect("FROZEN_P = nn.Parameter(torch.ones(3))", "FROZEN_P.requires_grad_(not FROZEN_P.requires_grad)", "FROZEN_P.requires_grad"),
    "data": Effect("DATA_P = nn.Parameter(torch.ones(3))", "DATA_P.data = DATA_P.data * 2", "DATA_P"),
    "data in place": Effect("DATA_Q = nn.Parameter(torch.ones(3))", "DATA_Q.data.mul_(2)", "DATA_Q"),
    "manual_seed": Effect("", "torch.manual_seed(11)\nx = x + torch.rand(())", "torch.get_rng_state()"),
    "rand": Effect("torch.manual_seed(12)", "x = x + torch.rand(())", "torch.get_rng_state()"),
    "rand that is not used": Effect("torch.manual_seed(13)", "torch.rand(3)", "torch.get_rng_state()"),
    "fork_rng": Effect("torch.manual_seed(14)", "with torch.random.fork_rng():\n    x = x + torch.rand(())", "torch.get_rng_state()"),
    "grad mode left": Effect("", "torch.set_grad_enabled(False)", "torch.is_grad_enabled()", "torch.set_grad_enabled(True)"),
    "grad mode turns": Effect("", "torch.set_grad_enabled(not torch.is_grad_enabled())", "torch.is_grad_enabled()", "torch.set_grad_enabled(True)"),
    "default dtype left": Effect("", "torch.set_default_dtype(torch.float64)\nx = x + torch.ones(1)", "torch.get_default_dtype()", "torch.set_default_dtype(torch.float32)"),
    "caught": Effect("CAUGHT = []", "try:\n    CAUGHT.append(1)\n    raise KeyError(len(CAUGHT))\nexcept KeyError as error:\n    x = x * error.args[0]", "CAUGHT"),
    "finally": Effect("FINALLY = [0]", "try:\n    x = x + 1\nfinally:\n    FINALLY[0] += 1", "FINALLY"),
    "raise": Effect("RAISED = [0]", "RAISED[0] += 1\nif RAISED[0] == 3:\n    raise KeyError(3)", "RAISED"),
    "raise after a write": Effect("BEFORE_RAISE = torch.zeros(3)\nRAISES = [0]", "RAISES[0] += 1\nBEFORE_RAISE.add_(1)\nif RAISES[0] % 2 == 0:\n    raise KeyError(3)", "BEFORE_RAISE, RAISES"),
    "raise after a step": Effect("T = nn.Parameter(torch.ones(3))\nSGD_T = torch.optim.SGD([T], lr=0.1, momentum=0.9)", "SGD_T.zero_grad()\n(T * T).sum().backward()\nSGD_T.step()\nif x.shape[0] == 1:\n    raise KeyError(3)", "T, SGD_T.state[T]"),
    "error of an operation": Effect("TRIED = []", "TRIED.append(1)\nif x.shape[0] == 1:\n    x @ torch.ones(7, 7)", "TRIED"),
    "thread": Effect("THREADED = []\n\ndef in_thread():\n    THREADED.append(len(THREADED))", "t = threading.Thread(target=in_thread)\nt.start()\nt.join()", "THREADED"),
    "custom function": Effect("BACKWARDS = []\n\nclass Doubled(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, a):\n        BACKWARDS.append('f')\n        return a * 2\n\n    @staticmethod\n    def backward(ctx, g):\n        BACKWARDS.append('b')\n        return g * 2\n\nCUSTOM_LEAF = torch.ones(3, requires_grad=True)", "Doubled.apply(CUSTOM_LEAF).sum().backward()", "BACKWARDS, CUSTOM_LEAF"),
    "random": Effect("random.seed(15)", "x = x * random.random()", "random.getstate()"),
    "shuffle": Effect("random.seed(16)\nSHUFFLED = [1, 2, 3, 4]", "random.shuffle(SHUFFLED)\nx = x * SHUFFLED[0]", "SHUFFLED"),
    "NumPy random": Effect("np.random.seed(17)", "x = x * float(np.random.rand())", "np.random.get_state()[2]"),
    "cache": Effect("MEMO = {}\n\ndef remembered_sum(t):\n    key = tuple(t.shape)\n    if key not in MEMO:\n        MEMO[key] = torch.arange(1.0, t.shape[-1] + 1)\n    return MEMO[key]", "x = x * remembered_sum(x)", "MEMO"),
    "cache of a buffer": Effect("class Tabling(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.table = None\n\n    def forward(self, t):\n        if self.table is None or self.table.shape[-1] < t.shape[-1]:\n            self.table = torch.arange(1.0, t.shape[-1] + 1)\n        return t * self.table\n\nTABLED = Tabling()", "x = TABLED(x)", "TABLED.table"),
    "swapped": Effect("A_, B_ = torch.ones(3), torch.zeros(3)", "global A_, B_\nA_, B_ = B_, A_\nx = x + A_", "A_, B_"),
    "alias kept": Effect("ALIAS = types.SimpleNamespace(view=None)\nALIASED = torch.zeros(3)", "ALIAS.view = ALIASED[1:]\nALIASED.add_(1)", "ALIAS.view, ALIASED"),
    "gc": Effect("gc.enable()", "gc.disable()", "gc.isenabled()", "gc.enable()"),
    "heap": Effect("import heapq\nHEAP = [5, 7]", "heapq.heappush(HEAP, len(HEAP))", "HEAP"),
    "operator": Effect("OPERATED = {'a': 1}", "operator.setitem(OPERATED, 'a', OPERATED['a'] + 1)", "OPERATED"),
    "list sort": Effect("SORTED = [3, 1, 2]", "SORTED.sort()\nSORTED.append(0)", "SORTED"),
    "globals()": Effect("WRITTEN_GLOBAL = 0", "globals()['WRITTEN_GLOBAL'] += 1", "WRITTEN_GLOBAL"),
    "vars()": Effect("VARS = types.SimpleNamespace(n=0)", "vars(VARS)['n'] += 1", "VARS.n"),
    "setattr": Effect("SETATTR = types.SimpleNamespace(n=0)", "setattr(SETATTR, 'n', SETATTR.n + 1)", "SETATTR.n"),
}  # fmt: skip
