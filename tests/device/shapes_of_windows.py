"""Convolutions and poolings of every kind, with small operands."""

from itertools import product

import rushlight as T

F = T.nn.functional


def convolutions():
    """(name, call, operands) for 1 to 3 dims, with groups, strides, padding and dilation."""
    T.manual_seed(0)
    for dims, groups, stride, padding, dilation in product(
        (1, 2, 3), (1, 4), (1, 2), (0, 1), (1, 2)
    ):
        x = T.randn(2, 4, *(9, 8, 7)[:dims])
        w = T.randn(8, 4 // groups, *(3, 2, 2)[:dims])
        windows = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        call = getattr(F, f"conv{dims}d")
        name = f"conv{dims}d {windows}"
        yield name, lambda x, w, b, call=call, k=windows: call(x, w, b, **k), (x, w, T.randn(8))


def poolings():
    """(name, call, operands) for means and maxima of windows."""
    T.manual_seed(0)
    for dims in (1, 2, 3):
        x = T.randn(2, 3, *(7, 6, 5)[:dims]).mul(3).round()
        for size, stride, padding, up in product((2, 3), (1, 2), (0, 1), (False, True)):
            mean, most = (getattr(F, f"{kind}_pool{dims}d") for kind in ("avg", "max"))
            given = size, stride, padding
            yield (
                f"max {dims} {given} {up}",
                lambda x, f=most, a=given, up=up: f(x, *a, 1, up),
                (x,),
            )
            for count in (False, True):
                yield (
                    f"mean {dims} {given} {up} {count}",
                    lambda x, f=mean, a=(*given, up, count): f(x, *a),
                    (x,),
                )
        for places in (1, 3, 4):
            even = getattr(F, f"adaptive_avg_pool{dims}d")
            yield f"adaptive {dims} {places}", lambda x, f=even, n=places: f(x, n), (x,)
