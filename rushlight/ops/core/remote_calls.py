"""Operations on tensors that are not on the CPU.

On the device ``meta`` an operation gives the shape of its result. On other devices it is a program
of its own, like a compiled function with one line (``compiler/device/program.py``), which is kept
for the next call whose operands look the same. Views are new looks at the same memory. What has no
kernel is computed on the host and copied back; ``fallbacks`` counts these calls.
"""

import os
import warnings
from collections import Counter
from functools import partial

import numpy as np
from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.device import CPU, META
from rushlight.device_array import (
    DeviceArray,
    DeviceMemory,
    driver_of,
    look_at,
    placed,
    reserved,
    sent,
    to_host,
)
from rushlight.dtype import bfloat16, float16
from rushlight.errors import DtypeError
from rushlight.ops.core.call_keys import (
    Number,
    bits,
    is_constant,
    is_hashable,
    is_input,
    is_number,
    is_plain,
    key_of,
    without_numbers,
)
from rushlight.ops.core.compute import compute
from rushlight.ops.core.inference import inferred_on_meta
from rushlight.ops.core.kept_programs import KeptPrograms
from rushlight.random import default_generator, generator_of
from rushlight.remote import at, place_of
from rushlight.shaped import Shaped
from rushlight.storage import address
from rushlight.tensor import Tensor, from_array

__all__ = [
    "check_devices", "compute_into", "compute_on", "count", "fallbacks", "gradients", "overwrite",
]  # fmt: skip

#: name of an operation → how many of its calls were computed on the host.
fallbacks: Counter = Counter()
#: The key of a call → its program; None: no kernels compute it.
_programs = KeptPrograms(1_000, 400)  # Intel's OpenCL keeps some 2.4 MB for each kernel
_gradients = KeptPrograms(1_000, 400)  # the same for gradient rules
#: The key of a view → whether there are several, and (``Look``, bytes from the operand's first
#: element to its own).
_looks: dict = {}
NOT_REGISTERED = "Attempt to increase offset for a CUDA generator not in capture mode."
_HALVES = float16.numpy, bfloat16.numpy
_MOST_LOOKS = 10_000  # the views are forgotten beyond so many


def compute_on(d, op, inputs, params):
    """The result of ``op`` on the device ``d``, as an array, or as a tuple of several.

    Raises:
        RuntimeError: operands are on several devices.
    """
    if d is META:
        return inferred_on_meta(op, inputs, params)
    operands = inputs[0] if op.variadic else inputs
    if op.shares:
        if (found := _viewed_again(d, op, operands, params)) is not None:
            return found
    elif (
        op.counting is None
        and not op.raises
        and (found := _again(d, op, operands, params)) is not None
    ):
        return found
    operands = _on(d, op, operands)
    own = lambda v: _on(d, op, [v._array])[0] if isinstance(v, Tensor) else v
    params = {k: own(v) for k, v in params.items()}
    if op.shares:  # a view, or several
        return _viewed(d, op, operands, params)
    found = None
    if op.counting is not None:
        found = _by_rule(d, op, op.counting, operands, params)
    elif op.draws and op.far_lowering is not None:
        found = _by_drawing(d, op, operands, params)
    if found is None and not op.draws and not _is_dynamic(op, operands, params):
        found = _by_program(d, op, operands, params)
    return _on_host(d, op, operands, params) if found is None else found


def _is_dynamic(op, operands, params):
    return op.dynamic(*operands, **params) if callable(op.dynamic) else op.dynamic


def _on(d, op, operands):
    """The operands on ``d``. 0-dim tensors on the CPU count as numbers; others are an error."""
    if not op.places:
        _check_all_on(d, op, operands)
    return [placed(a, d) if type(a) is ndarray else a for a in operands]


def _check_all_on(d, op, operands):
    for a in operands:
        if not isinstance(a, ndarray | Shaped):
            continue
        there = place_of(a)
        if there is not d and (a.ndim or there is not CPU):
            raise RuntimeError(
                f"{op.name}: Expected all tensors to be on the same device, but found at least two "
                f"devices, {d} and {there}! Move one of them with to()"
            )


def check_devices(op, operands):
    """Raise RuntimeError if the ``operands`` in a trace, all but numbers, are on several devices.

    0-dim operands on the CPU count as numbers.
    """
    for a in operands:
        d = place_of(a)
        if d is not CPU:
            _check_all_on(d, op, operands)
            return


# Views --------------------------------------------------------------------------------------


def _viewed(d, op, operands, params):
    x = operands[0]
    key = _key_of_view(d, op, operands, params)
    base = x.like()
    found = compute(op, (base, *[to_host(a) for a in operands[1:]]), params)
    several = type(found) is tuple
    look = several, [
        (look_at(v.shape, v.strides, v.dtype), address(v) - address(base) if v.size else 0)
        for v in (found if several else (found,))
    ]  # fmt: skip
    if len(_looks) >= _MOST_LOOKS:
        _looks.clear()
    if is_hashable(key):
        _looks[key] = look
    return _looking(x, *look)


def _key_of_view(d, op, operands, params):
    x = operands[0]
    more = (x.start, x.memory.nbytes) if op.of_storage else None
    return key_of(op, d, operands, params, [], more)


def _viewed_again(d, op, operands, params):
    """The views of a call like an earlier one, or None."""
    try:
        look = _looks.get(_key_of_view(d, op, operands, params))
    except TypeError:  # a part of the key has no hash
        return None
    return None if look is None else _looking(operands[0], *look)


def _looking(x, several, looks):
    memory, start = x.memory, x.start
    if not several:
        look, first = looks[0]
        return DeviceArray.of(look, memory, start + first)
    return tuple([DeviceArray.of(look, memory, start + first) for look, first in looks])


# Kernels ------------------------------------------------------------------------------------


def _by_program(d, op, operands, params):
    """The result by kernels; None if there are none."""
    numbers: list = []
    keyed, named = without_numbers(op, operands, params, numbers)
    key = key_of(op, d, operands, params, [])
    program = _program(key, d, op, keyed, named)
    if program is None and numbers:  # perhaps the numbers must be parts of its code
        key, keyed, named = key_of(op, d, operands, params, [], opens=False), operands, params
        program = _program(key, d, op, operands, params)
    if program is None:
        return None
    late.device_programs().shortened(program, d)
    try:
        found = _run(d, program, keyed, named)
    except late.device_programs().CheckFailed:
        return _from_host(d, op, operands, params)  # raises the error that explains it
    return operands[0] if op.raises else found  # a check's result has no meaning


def _by_drawing(d, op, operands, params):
    """The result of an operation that draws; None if its rule does not serve.

    Its rule for devices runs on tensors, because the host draws the numbers.
    """
    if not all(a.size and a.dtype.kind != "c" for a in operands if isinstance(a, DeviceArray)):
        return None
    params = _with_generator(d, params)
    if op.checking is not None:
        _by_rule(d, op, op.checking, operands, params)
    return _by_rule(d, op, op.far_lowering, operands, params)


def _by_rule(d, op, rule, operands, params):
    """The result of ``rule`` on tensors with elements; None if it does not serve."""
    rule, names = rule
    given = dict(zip(op.inputs, operands, strict=False)) | params
    tensor = lambda v: from_array(v) if isinstance(v, DeviceArray) else v
    with at(d), mode.no_grad():
        autocast = mode.exchange("autocast", None)
        try:
            found = rule(*[tensor(given.get(name)) for name in names])
        except DtypeError:  # the rule is one for real numbers only
            if all(a.dtype.kind != "c" for a in operands if isinstance(a, DeviceArray)):
                raise
            return None
        finally:
            mode.exchange("autocast", autocast)
    if found is NotImplemented or found is None:
        return None
    return found._array if isinstance(found, Tensor) else tuple([t._array for t in found])


def _again(d, op, operands, params):
    """The result of a call like an earlier one whose program only starts kernels; else None."""
    numbers: list = []
    program = _programs.known(key_of(op, d, operands, params, numbers))
    if program is None or not (short := program.short) or short.driver.recording is not None:
        return None
    made = short.run(numbers)
    return made[0] if len(made) == 1 else tuple(made)


def _program(key, d, op, operands, params):
    """The program for one call; None if an operation in it has no kernel."""
    if not is_hashable(key):
        return None
    make = late.device_programs().of_call
    kinds = is_input, is_number, driver_of(d)
    return _programs.find(key, lambda opens: make(op, operands, params, *kinds, opens))


#: Stands for the target among the operands of ``compute_into``; this, and no number, is in keys.
_ITSELF = "the target"


def compute_into(op, operands, params, target):
    """Compute an elementwise operation in the memory of the ``DeviceArray`` ``target``.

    The target may be an operand. Returns False if this cannot be done: then nothing was written.
    """
    d, given = target.memory.device, [target]
    for x in operands:
        if type(x) is DeviceArray and x.memory is target.memory:
            if x.start != target.start or x.look is not target.look:
                return False  # its elements might be read after they were written
            x = _ITSELF
        given.append(x)
    numbers: list = []
    key = key_of(op, d, given, params, numbers, _ITSELF)
    program = _programs.known(key)
    if program is not None and (short := program.short) and short.driver.recording is None:
        short.run(numbers)
        return True
    if not is_hashable(key) or op.draws or _is_dynamic(op, given[1:], params):
        return False
    given, params = without_numbers(op, given, params, [])
    kinds = (lambda x: x is _ITSELF), is_input, is_number, target.memory.driver
    make = partial(late.device_programs().of_call_into, op, given, params, *kinds)
    program = _programs.find(key, make)
    if program is None:
        return False
    late.device_programs().shortened(program, d)
    _run(d, program, given, params)
    return True


def gradients(op, rules, g, values, wanted):
    """What the gradient ``rules`` of ``op`` make on a device, by one program.

    Args:
        rules: ``rules(g, values)`` gives a list of tensors and None.
        g: The gradient of the result, or a list of those of several results.
        values: What the rules read.
        wanted: What the rules depend on besides these.

    Returns:
        The list; None if the rules must run as they are.
    """
    several = len(g) if type(g) is list else 0
    given = [*(g if several else [g]), *values]
    operands = [v._array if isinstance(v, Tensor) else v for v in given]
    if not all(map(is_plain, operands)):
        return None
    memory = next((a.memory for a in operands if type(a) is DeviceArray), None)
    if memory is None or memory.driver.recording is not None:
        return None
    if op.kind == "elementwise" and not all(map(is_constant, operands)):
        return None  # a program for each number would be too many
    numbers: list = []
    key = key_of(op, memory.device, operands, {}, numbers, (several, wanted), opens=False)
    program = _gradients.known(key)
    if program is None:
        if not is_hashable(key):
            return None
        split = lambda given: rules(given[:several] if several else given[0], given[several or 1 :])
        make = late.device_programs().of_gradients
        d, driver = memory.device, memory.driver
        program = _gradients.find(key, lambda opens: make(split, operands, driver, d, opens))
        if program is None:
            return None
    made = program.short.run(numbers)
    # A result of two rules is two tensors: a leaf must not take the memory of one.
    find = {"given": given.__getitem__, "made": lambda k: from_array(made[k])}
    return [None if place is None else find[place[0]](place[1]) for place in program.results]


def _run(d, program, operands, params):
    """Start the kernels of a program; returns its results."""
    places = []
    for x in (*operands, *params.values()):
        if type(x) is DeviceArray:
            places.append((x.memory.buffer, x.start))
        elif type(x) is Number:
            places.append((0, bits(x.value, x.dtype)))
    found = program.run(places, partial(DeviceMemory, d))
    made = [DeviceArray(v.shape, v.dtype, strides, m, at) for m, v, at, strides in found]
    return made[0] if len(made) == 1 else tuple(made)


# Writes ---------------------------------------------------------------------------------------


def overwrite(target, value):
    """``target[...] = value`` for a ``DeviceArray``; the value is an array of any device."""
    d = target.device
    if not target.size:
        return
    value = value if isinstance(value, DeviceArray) else np.asarray(value)
    source = sent(value, d) if value.ndim else placed(value, d)
    kinds = _in_kernels(target.dtype), _in_kernels(source.dtype)
    if "c" in kinds and all(kinds) and target.dtype != bool:
        _overwrite_parts(target, source)
        return
    if not all(kinds) or "c" in kinds:
        if (recording := target.memory.driver.recorded()) is not None:
            recording.do(lambda: _overwrite_by_bytes(target, source))
        else:
            _overwrite_by_bytes(target, source)
        return
    if source.memory is target.memory:
        source = source.copy()
    key = None, id(d), target.look, source.look
    make = late.device_programs().of_write
    program = _programs.find(key, lambda opens: make(target, source, driver_of(d), opens))
    program.run([(a.memory.buffer, a.start) for a in (target, source)],
                lambda nbytes: DeviceMemory(d, nbytes))  # fmt: skip


def _in_kernels(dtype):
    """The kind of a dtype that kernels compute with, by itself or in two parts; else ""."""
    if dtype in _HALVES:
        return "f"
    return dtype.kind if dtype.kind in "biufc" and (dtype.kind != "f" or dtype.itemsize > 1) else ""


def _overwrite_parts(target, source):
    """As ``overwrite``, where one of the arrays is complex: its parts are real arrays."""
    if target.dtype.kind != "c":
        overwrite(target, _parts(source)[0])
        return
    of_reals = source.dtype.kind != "c"
    values = (source, np.zeros((), _parts(target)[0].dtype)) if of_reals else _parts(source)
    if source.memory is target.memory and not of_reals:
        values = _parts(source.copy())
    for part, value in zip(_parts(target), values, strict=True):
        overwrite(part, value)


def _parts(x):
    """The real and the imaginary parts of a complex array, as views."""
    real = np.dtype(f"f{x.itemsize // 2}")
    return [
        DeviceArray(x.shape, real, x.strides, x.memory, x.start + i * real.itemsize) for i in (0, 1)
    ]


def _overwrite_by_bytes(target, source):
    """As ``overwrite``, on the host, since kernels have no numbers of such a kind."""
    host = to_host(target)
    np.copyto(host, to_host(source), casting="unsafe")
    target.memory.fill(host.base if host.base is not None else host)


# The host in place of a kernel ------------------------------------------------------------


def _on_host(d, op, operands, params):
    """The result of ``op`` from the host, which is counted."""
    if any(a.size for a in operands if isinstance(a, DeviceArray)) or not operands:
        count(op, stacklevel=4)
    return _from_host(d, op, operands, params)


def _from_host(d, op, operands, params):
    """The result of ``op``, computed on the host and copied to the device."""
    params = _with_generator(d, params)
    if (recording := driver_of(d).recorded()) is not None:
        return _in_replays(recording, d, op, operands, params)
    found = _computed(op, operands, params)
    if type(found) is tuple:
        return tuple([placed(a, d) for a in found])
    return placed(found, d)


def _with_generator(d, params):
    """``params``, with the generator of ``d`` in place of the default one."""
    if params.get("generator") is default_generator:
        return {**params, "generator": generator_of(d)}
    return params


def _computed(op, operands, params):
    """The result of ``op`` from the host, on copies of the operands."""
    inputs = [to_host(a) if isinstance(a, DeviceArray) else a for a in operands]
    params = {k: to_host(v) if isinstance(v, DeviceArray) else v for k, v in params.items()}
    return compute(op, (inputs,) if op.variadic else tuple(inputs), params)


def _in_replays(recording, d, op, operands, params):
    """The memory of the result of ``op``, which the host fills in each replay of a graph."""
    outs = late.device_programs().shapes(op, operands, params, DeviceArray)
    if outs is None or _is_dynamic(op, operands, params):
        recording.refuse(op.name)
    generator = params.get("generator")
    if generator not in (None, generator_of(d), *recording.generators):
        raise RuntimeError(NOT_REGISTERED)
    made = [reserved(v.shape, v.dtype, v.strides, d) for v in outs]

    def fill():
        found = _computed(op, operands, params)
        for target, array in zip(made, found if type(found) is tuple else (found,), strict=True):
            if target.size:
                host = target.like()
                np.copyto(host, array)
                target.memory.fill(host.base)

    recording.do(fill)
    return made[0] if len(made) == 1 else tuple(made)


def count(op, stacklevel=2):
    """Note that a call of ``op`` on a device is computed on the host; the first one warns.

    Raises:
        RuntimeError: RUSHLIGHT_FALLBACK=error forbids it.
    """
    if op.kind == "source" or op.raises:  # drawn or listed numbers; checks, which read elements
        return
    if os.environ.get("RUSHLIGHT_FALLBACK") == "error":
        raise RuntimeError(
            f"{op.name}: no kernel for a device, and RUSHLIGHT_FALLBACK=error forbids the host"
        )
    fallbacks[op.name] += 1
    if fallbacks[op.name] == 1:
        warnings.warn(
            f"{op.name} has no kernel for the device: it is computed on the host, and its operands "
            "and results are copied (see torch.opencl.fallbacks())",
            stacklevel=stacklevel + 1,
        )
