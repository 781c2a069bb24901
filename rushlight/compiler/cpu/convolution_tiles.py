"""The innermost loops of convolutions: tiles of sums that stay in registers."""

from llvmlite import ir

from rushlight.compiler.codegen.frame import lookup
from rushlight.compiler.codegen.loop import address, carried
from rushlight.compiler.codegen.memory import load, prefix_mask, store
from rushlight.compiler.codegen.scope import internal_function
from rushlight.compiler.codegen.value import BOOL, INT, Value, constant, select, splat
from rushlight.compiler.cpu.microkernel import transposed

__all__ = [
    "PRODUCT", "open_row_product", "row_product", "shifted_product", "square", "weight_product",
    "write_product",
]  # fmt: skip

_I1, _I64, _POINTER = ir.IntType(1), ir.IntType(64), ir.PointerType()
#: The types of the arguments of ``weight_product``.
WEIGHT_PRODUCT = [*[_POINTER] * 3, *[_I64] * 3, _I1]
#: The type of ``shifted_product``.
PRODUCT = ir.FunctionType(ir.VoidType(), [*[_POINTER] * 3, *[_I64] * 3, _POINTER, _I64, _I1])


def _sums(b, tile, into, rows, fresh):
    """The addresses of a tile's sums, and the sums: 0 if ``fresh``, else loaded from there.

    ``rows`` are the offsets at which the tile's rows begin.
    """
    lanes, dtype = tile.lanes, tile.dtype
    places = [
        address(b, into, row + j * lanes, dtype.itemsize)
        for row in rows
        for j in range(tile.columns)
    ]
    known = splat(~Value(b, fresh, BOOL), lanes)
    return places, [load(b, place, dtype, lanes, known) for place in places]


def shifted_product(module, tile):
    """The function that adds products of a panel of weights and shifted vectors to a tile.

    Its arguments: ``(weights, x, sums, channels, channel pitch, row pitch of sums, offsets, taps,
    fresh)``. For each channel and tap, each row of the tile adds the row's weight times the vectors
    at the tap's offset in ``x``. The weights lie in the order channel, tap, row. If ``fresh``, the
    sums start from 0. There must be at least one channel and one tap.
    """
    name = f"shifted_product_{tile.dtype.name}_{tile.rows}x{tile.columns}"
    function, b = internal_function(module, name, PRODUCT.args)
    if b is None:
        return function
    _write_product(b, tile, *function.args)
    b.ret_void()
    return function


def write_product(module, name, tile):
    """Write ``shifted_product`` as the function ``name``, which other modules call."""
    function = ir.Function(module, PRODUCT, name)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    _write_product(b, tile, *function.args)
    b.ret_void()


def _write_product(b, tile, weights, x, into, channels, channel_pitch, row_pitch, offsets, taps,
                   fresh):  # fmt: skip
    channels, channel_pitch, row_pitch, taps = (
        Value(b, v, INT) for v in (channels, channel_pitch, row_pitch, taps)
    )
    dtype, lanes, size = tile.dtype, tile.lanes, tile.dtype.itemsize
    places, sums = _sums(b, tile, into, [row_pitch * i for i in range(tile.rows)], fresh)

    def add_channel(c, sums):
        panel = address(b, weights, c * taps * tile.rows, size)
        plane = address(b, x, c * channel_pitch, size)

        def add_tap(t, sums):
            row = address(b, panel, t * tile.rows, size)
            met = address(b, plane, lookup(b, offsets, t), size)
            return tile.multiplied(
                b, lambda i: load(b, address(b, row, i, size), dtype),
                lambda j: load(b, address(b, met, j * lanes, size), dtype, lanes), sums,
            )  # fmt: skip

        return carried(b, constant(b, 0, INT), taps, sums, add_tap)

    sums = carried(b, constant(b, 0, INT), channels, sums, add_channel)
    for place, value in zip(places, sums, strict=True):
        store(b, value, place, dtype)


def weight_product(module, tile, rows):
    """The function that adds products of elements of ``x`` and vectors of ``g`` to a tile.

    Its arguments: ``(x, g, sums, rows, columns, row pitch of x, fresh)``. For each place of a strip
    ``g`` has ``tile.columns`` vectors. Row i of the tile multiplies them by the element of ``x``
    that lies ``rows[i][0]`` after the place. Row i of the tile is row ``rows[i][1]`` of ``sums``.
    """
    key = "_".join(f"{a}.{r}" for a, r in rows)
    name = f"weight_product_{tile.dtype.name}_{tile.columns}_{key}".replace("-", "m")
    function, b = internal_function(module, name, WEIGHT_PRODUCT)
    if b is None:
        return function
    size = tile.dtype.itemsize
    at = lambda b, line, i, r: address(b, address(b, line, i, size), rows[r][0], size)
    _write_weight_product(b, tile, [row for _, row in rows], at, *function.args)
    return function


def open_weight_product(module, tile, rows):
    """``weight_product`` for many shapes: ``rows`` has only the rows of ``sums``.

    It has one argument more: the address of the offsets of the tile's rows in ``x``.
    """
    name = f"open_weight_product_{tile.dtype.name}_{tile.columns}_{'_'.join(map(str, rows))}"
    function, b = internal_function(module, name, [*WEIGHT_PRODUCT, _POINTER])
    if b is None:
        return function
    *given, offsets = function.args
    size = tile.dtype.itemsize
    starts = [lookup(b, offsets, r) for r in range(len(rows))]
    at = lambda b, line, i, r: address(b, line, starts[r] + i, size)
    _write_weight_product(b, tile, rows, at, *given)
    return function


def _write_weight_product(b, tile, rows, at, x, g, into, count, width, pitch, fresh):
    """Write ``weight_product``; ``at(b, line, i, r)`` is where row r of the tile reads ``x``."""
    dtype, lanes, size = tile.dtype, tile.lanes, tile.dtype.itemsize
    count, width, pitch = (Value(b, v, INT) for v in (count, width, pitch))
    panel = tile.columns * lanes
    places, sums = _sums(b, tile, into, [row * panel for row in rows], fresh)

    def add_row(y, sums):
        line = address(b, x, y * pitch, size)
        met = address(b, g, y * width * panel, size)

        def add_place(i, sums):
            vector = address(b, met, i * panel, size)
            return tile.multiplied(
                b, lambda r: load(b, at(b, line, i, r), dtype),
                lambda j: load(b, address(b, vector, j * lanes, size), dtype, lanes), sums,
            )  # fmt: skip

        return carried(b, constant(b, 0, INT), width, sums, add_place)

    sums = carried(b, constant(b, 0, INT), count, sums, add_row)
    for place, value in zip(places, sums, strict=True):
        store(b, value, place, dtype)
    b.ret_void()


def row_product(module, tile, dtype, strides, offsets, layout):
    """The function that adds products of rows of ``g`` and shifted rows of ``x`` to a tile.

    Its arguments: ``(g, x, sums, rows, columns, row pitch of sums, fresh)``. ``strides`` are
    those of ``g`` (memory of ``dtype``) from channel to channel, row to row, column to column.
    Lanes run along a row. Row i of the tile takes channel i of ``g``; column j of the tile takes
    the elements of ``x`` that lie ``offsets[j]`` after those of ``g``.
    """
    key = "_".join(
        map(str, (*strides, layout.columns, layout.whole, layout.pitch, *offsets))
    ).replace("-", "m")
    name = f"row_product_{dtype.name}_{tile.dtype.name}_{tile.rows}_{key}"
    function, b = internal_function(module, name, [*[_POINTER] * 3, *[_I64] * 3, _I1])
    if b is None:
        return function
    g, x, into, count, width, row_pitch, fresh = function.args
    lanes, size = tile.lanes, tile.dtype.itemsize
    count, width, row_pitch = (Value(b, v, INT) for v in (count, width, row_pitch))
    places, sums = _sums(b, tile, into, [row_pitch * i for i in range(tile.rows)], fresh)
    step = strides[2] or constant(b, 0, INT).v

    def add_row(y, sums):
        line, met = (
            address(b, x, y * layout.pitch, size),
            address(b, g, y * strides[1], dtype.itemsize),
        )

        def add_vector(i, sums, mask=None):
            def of_g(channel):
                place = address(b, met, i * strides[2] + channel * strides[0], dtype.itemsize)
                return load(b, place, dtype, lanes, mask, step)

            def of_x(j):
                return load(b, address(b, line, i + offsets[j], size), tile.dtype, lanes, mask)

            return tile.multiplied(b, of_g, of_x, sums)

        # Loads are masked at the end of a row, because elements behind the row may be infinite.
        if not layout.whole:
            masked = lambda i, sums: add_vector(i, sums, prefix_mask(b, (width - i).v, lanes))
            return carried(b, constant(b, 0, INT), width, sums, masked, lanes)
        rest = layout.columns % lanes
        sums = carried(b, 0, layout.columns - rest, sums, add_vector, lanes)
        if rest:
            sums = add_vector(layout.columns - rest, sums, prefix_mask(b, rest, lanes))
        return sums

    sums = carried(b, constant(b, 0, INT), count, sums, add_row)
    for place, value in zip(places, sums, strict=True):
        store(b, value, place, tile.dtype)
    b.ret_void()
    return function


def open_row_product(module, tile, dtype, rest):
    """``row_product`` for many shapes.

    Its arguments: ``(g, x, sums, rows, columns, row pitch of sums, fresh, offsets, row pitch of x,
    strides of g from channel to channel and row to row)``. ``rest`` tells whether a row has whole
    vectors, and whether some lanes are left behind them. None: rows are in several pieces.
    """
    name = f"open_row_product_{dtype.name}_{tile.dtype.name}_{tile.rows}_{tile.columns}"
    function, b = internal_function(
        module, name, [*[_POINTER] * 3, *[_I64] * 3, _I1, _POINTER, *[_I64] * 3]
    )
    if b is None:
        return function
    g, x, into, *numbers, fresh, offsets, pitch, channel_pitch, line_pitch = function.args
    count, width, row_pitch, pitch, channel_pitch, line_pitch = [
        Value(b, v, INT) for v in (*numbers, pitch, channel_pitch, line_pitch)
    ]
    lanes, size = tile.lanes, tile.dtype.itemsize
    starts = [address(b, x, lookup(b, offsets, j), size) for j in range(tile.columns)]
    places, sums = _sums(b, tile, into, [row_pitch * i for i in range(tile.rows)], fresh)
    whole = width - width % lanes

    def add_row(y, sums):
        met = address(b, g, y * line_pitch, dtype.itemsize)

        def add_vector(i, sums, mask=None):
            def of_g(channel):
                place = address(b, met, i + channel_pitch * channel, dtype.itemsize)
                return load(b, place, dtype, lanes, mask)

            def of_x(j):
                return load(b, address(b, starts[j], y * pitch + i, size), tile.dtype, lanes, mask)

            return tile.multiplied(b, of_g, of_x, sums)

        tail = lambda i, sums: add_vector(i, sums, prefix_mask(b, (width - i).v, lanes))
        if rest is None:
            return carried(b, constant(b, 0, INT), width, sums, tail, lanes)
        some, left = rest
        if some:
            sums = carried(b, constant(b, 0, INT), whole, sums, add_vector, lanes)
        return tail(whole, sums) if left else sums

    sums = carried(b, constant(b, 0, INT), count, sums, add_row)
    for place, value in zip(places, sums, strict=True):
        store(b, value, place, tile.dtype)
    b.ret_void()
    return function


def square(module, g, dtype, lanes, pitch):
    """The function that transposes a square of ``g`` (Images), so that lanes are channels.

    Its arguments: ``(g, into, last channel, columns, channel stride of g)``. If there are fewer
    channels than lanes, the last channel is repeated. Columns from ``columns`` on become zeros.
    ``pitch`` is the number of elements from column to column of the copy.
    """
    key = f"{g.strides[4]}_{pitch}".replace("-", "m")
    name = f"square_{g.dtype.name}_{dtype.name}_{key}"
    function, b = internal_function(module, name, [_POINTER, _POINTER, *[_I64] * 3])
    if b is None:
        return function
    x, into, last, count, channels = function.args
    last, channels = Value(b, last, INT), Value(b, channels, INT)
    mask = prefix_mask(b, count, lanes)
    step = g.strides[4] or constant(b, 0, INT).v  # ``load`` ignores the mask for a Python 0
    rows = []
    for i in range(lanes):
        channel = select(last < i, last, constant(b, i, INT))
        place = address(b, x, channel * channels, g.dtype.itemsize)
        rows.append(load(b, place, g.dtype, lanes, mask, step))
    for i, column in enumerate(transposed(b, rows)):
        store(b, column, address(b, into, i * pitch, dtype.itemsize), dtype)
    b.ret_void()
    return function
