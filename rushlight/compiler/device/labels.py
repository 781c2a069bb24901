"""The labels of blocks in SPIR-V, which LLVM numbers wrongly from its second module on.

LLVM keeps the label of each block in a table of the whole process, by the address of the function
and the number of the block, and never clears it (``BBNumToRegMap`` in LLVM 22's
``SPIRVModuleAnalysis.h``). A function that lies at the address of an earlier function gets the
earlier function's labels. In the new module these numbers may belong to other things, which ends
the process inside of some drivers, or to other blocks of the function. So the names that LLVM gives
to ids are ambiguous, too; they are left out.
"""

import struct

from rushlight.compiler.device.language import NoCode

__all__ = ["Ambiguous", "relabelled"]

_HEADER = 5  # words before the first instruction; word 3 is one more than the largest id
_NAME, _LABEL, _SWITCH = 5, 248, 251
#: Where instructions have labels: OpLabel, OpBranch, OpBranchConditional, OpLoopMerge,
#: OpSelectionMerge and OpPhi.
_PLACES = {
    _LABEL: slice(1, 2), 249: slice(1, 2), 250: slice(2, 4), 246: slice(1, 3), 247: slice(1, 2),
    245: slice(4, None, 2),
}  # fmt: skip


class Ambiguous(Exception):
    """Two blocks have the same label."""


def relabelled(code):
    """SPIR-V whose labels are the ids of nothing else, without names.

    Raises:
        Ambiguous: two blocks have the same label.
        NoCode: there is a switch, whose labels lie between numbers.
    """
    words = list(struct.unpack(f"<{len(code) // 4}I", code))
    bound, seen, at = words[3], set(), _HEADER
    found = words[:_HEADER]
    while at < len(words):
        size, kind = words[at] >> 16, words[at] & 0xFFFF
        instruction = words[at : at + size]
        if kind == _SWITCH:
            raise NoCode("a switch")
        if kind == _LABEL and instruction[1] in seen:
            raise Ambiguous
        if kind in _PLACES:
            place = _PLACES[kind]
            instruction[place] = [bound + label for label in instruction[place]]
            if kind == _LABEL:
                seen.add(instruction[1] - bound)
        if kind != _NAME:
            found += instruction
        at += size
    found[3] = bound + max(seen, default=0) + 1
    return struct.pack(f"<{len(found)}I", *found)
