"""Every public function and class says what it takes, gives and raises, in one order."""

import contextlib
import enum
import importlib
import inspect
import operator
import re
import sys

import rushlight
from rushlight.docstrings import complete

MODULES = [
    "", "nn", "nn.functional", "nn.init", "nn.utils", "linalg", "masked", "special", "optim",
    "optim.lr_scheduler", "utils.data", "autograd", "Tensor", "distributions", "func",
    "accelerator", "amp", "autograd.functional", "autograd.graph", "autograd.profiler", "backends.cpu",
    "backends.cuda", "backends.cudnn", "backends.mkldnn", "backends.mps", "compiler", "cpu", "cuda",
    "datasets", "defaults", "determinism", "distributed", "distributed.algorithms.join",
    "distributed.device_mesh", "distributed.fsdp.wrap", "distributed.nn.functional",
    "distributions.constraints",
    "ao.quantization", "distributions.kl", "distributions.transforms", "export", "fft", "fx", "hub",
    "jit", "library", "mps", "mtia", "quantized", "utils.flop_counter", "utils.module_tracker", "utils._python_dispatch",
    "ao.nn.quantized.dynamic", "fx.experimental.optimization", "fx.experimental.proxy_tensor",
    "fx.passes.shape_prop", "fx.subgraph_rewriter",
    "multiprocessing", "nn.attention", "nn.attention.bias", "nn.attention.flex_attention", "nn.parallel",
    "nn.utils.parametrizations", "overrides",
    "nn.utils.parametrize", "nn.utils.prune", "nn.utils.rnn", "nn.utils.stateless", "onnx",
    "optim.swa_utils", "profiler", "random", "serialization", "serialization.safetensors",
    "serialization.sharded", "signal.windows", "testing", "threads", "types", "utils.checkpoint", "utils.dlpack",
    "utils.hooks", "utils.random_state", "utils.training_state", "vision.datasets", "vision.io",
    "vision.models", "vision.ops", "vision.transforms", "vision.transforms.functional",
    "vision.models.detection", "vision.models.feature_extraction",
    "vision.models.segmentation", "vision.transforms.v2", "vision.transforms.v2.functional", "vision.tv_tensors",
    "vision.utils", "xpu",
]  # fmt: skip

#: Classes whose public methods are looked at, too. A method that Module has is looked at in
#: another class only if it has a docstring of its own there.
CLASSES = [
    "nn.Module", "nn.Sequential", "nn.ModuleList", "nn.ModuleDict", "nn.ParameterList",
    "nn.ParameterDict", "optim.Optimizer", "utils.data.DataLoader",
]  # fmt: skip

#: Docstrings that refer to another function, whose parameters are theirs.
REFERS = re.compile(
    r"The kernel of|In-place version of|Copying version of|The deprecated name of|Accepted, and remembered|Deprecated: use"
)
#: Names of parameters that say nothing, and NumPy's names of others.
PLAIN = {"self", "cls", "args", "kwargs", "named", "older", "axis", "keepdims"}
SECTIONS = "Args:", "Returns:", "Raises:", "Source:", ">>>"
#: A statement that makes a function give a value.
_GIVES = re.compile(r"\n +(return (?!None\b)|yield\b)")
_ENTRY = re.compile(r"^ +(\*{0,2}\w+(?:(?:, | and )\*{0,2}\w+)*): ", re.MULTILINE)


def public():
    """(name, thing) of everything public that users call."""
    for module in MODULES:
        home = _at(module)
        for name in getattr(home, "__all__", None) or vars(home):
            thing = inspect.getattr_static(home, name, None)
            thing = getattr(home, name) if thing is None else thing  # it is loaded when used first
            if not name.startswith("_") and (inspect.isroutine(thing) or inspect.isclass(thing)):
                yield f"{module}.{name}".lstrip("."), thing
    for place in CLASSES:
        owner = _at(place)
        for name in dir(owner):
            thing = inspect.getattr_static(owner, name)
            tells = owner is rushlight.nn.Module or not hasattr(rushlight.nn.Module, name)
            tells = tells or (name in vars(owner) and thing.__doc__)
            if not name.startswith("_") and inspect.isroutine(thing) and tells:
                yield f"{place}.{name}", thing


def _at(place):
    """The module or class of rushlight at the path ``place``."""
    with contextlib.suppress(ImportError):
        importlib.import_module(f"rushlight.{place}" if place else "rushlight")
    return operator.attrgetter(place)(rushlight) if place else rushlight


def gives_a_value(thing):
    """Whether a function returns or yields a value, as far as its source tells."""
    try:
        return _GIVES.search(inspect.getsource(inspect.unwrap(thing))) is not None
    except (OSError, TypeError):
        return True


def lacks(thing):
    """What the docstring of ``thing`` lacks, in words."""
    if not (getattr(thing, "__module__", None) or "rushlight").startswith("rushlight"):
        return ""  # the standard library's
    doc = inspect.getdoc(thing) or ""
    if not doc:
        return "a docstring"
    if REFERS.search(doc):
        return ""
    if inspect.isclass(thing) and issubclass(thing, (BaseException, enum.Enum)):
        return ""
    try:
        names = list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        names = []
    section = doc.partition("Args:\n")[2]
    told = {n for found in _ENTRY.findall(section) for n in re.findall(r"\w+", found)}
    missing = [n for n in names if n not in {*told, *PLAIN} and not n.startswith("_")]
    found = [f"Args: {', '.join(missing)}"] if missing else []
    gives = not inspect.isclass(thing) and gives_a_value(thing)
    if gives and "Returns:" not in doc and "Yields:" not in doc:
        found.append("Returns:")
    if ">>>" not in doc:
        found.append("an example")
    places = [doc.find(s) for s in SECTIONS if s in doc]
    if places != sorted(places):
        found.append("the order of sections")
    return "; ".join(found)


def test_everything_public_tells_its_parameters_and_results():
    found = [f"{name} lacks {wrong}" for name, thing in public() if (wrong := lacks(thing))]
    assert not found, "\n".join(found)


def test_shared_sentences_join_those_of_the_docstring_in_the_order_of_the_signature():
    doc = """Sum.

    Args:
        scale: A number
            that goes on.

    >>> 1
    1
    """
    found = complete(doc, ("input", "scale", "keepdim"), "reduction")
    names = re.findall(r"^ {8}(\w+): ", found, re.MULTILINE)
    assert names == ["input", "scale", "keepdim"]
    assert "A number\n            that goes on.\n" in found
    assert found.index("Args:") < found.index("Returns:") < found.index(">>>")
    assert complete(found, ("input", "scale", "keepdim"), "reduction") == found


def test_a_docstring_without_sections_stays_as_it_is():
    assert complete("Sum.", ("input",)) == "Sum."


if __name__ == "__main__":  # what is lacking where a pattern matches
    for name, thing in public():
        if (wrong := lacks(thing)) and re.match(sys.argv[1], name):
            print(f"{name} ({inspect.unwrap(thing).__module__}) lacks {wrong}")
