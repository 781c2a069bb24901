"""All measured figures of processors: what work costs, and from which sizes on a way is worth it.

They were measured on Zen 5 and on Cascade Lake. Other processors get the same figures.
"""

from rushlight.backend.sizes import large_from
from rushlight.compiler.ir.machine import LoopCosts

#: The most pieces of a kernel. More would only cost time, as there are not so many threads.
MOST_PIECES = 64
LOOPS = LoopCosts(
    line=64, part=16, streamed=1 << 24, prefetched=1 << 16, kept=1 << 13, tile=16, short=16,
    long=14, cheap=0.15, division=1.5, heavy=4.0, near=0.008, far=0.03, cache=1 << 22,
    piece=large_from(8000), pieces=MOST_PIECES,
)  # fmt: skip

#: Large contractions are cut so that this many threads are busy.
BUSY = 8
#: Bytes of a cache line.
LINE = LOOPS.line
#: Up to this many vectors or taps of a row are written without a loop.
UNROLLED = 8

# Products of matrices -----------------------------------------------------------------------

PRODUCT_CHUNK = large_from(1 << 18)  # the least products of a chunk if there are more: some µs
DEPTH = 512  # the depth of a block whose packed panels stay in the caches
COPY, TURN = 0.2, 0.35  # cycles to copy an element, and to transpose it
FETCH = 1.0  # cycles to compute an element of an operand that is not in memory
NEXT = 8  # cycles of a step whose elements are in none of the core's own caches
STREAM = 32  # bytes that a core's second-level cache delivers in a cycle
PAGE, PAGES = 4, 48  # cycles of a TLB miss, and the pages that the TLB holds
FAR = 0.06  # cycles to get an element from the cache that all cores share
LATE = 250  # cycles of a read from memory that was not prefetched: each row of a chunk's sums
START, CHUNK_START = 4000, 300  # cycles to start a kernel on all threads, and to start a chunk
CODE = 400  # a choice that needs more code must save this many cycles
SHARE = 1 << 13  # n threads are worth it if each has n times this many cycles of work
PACKED = large_from(1 << 14)  # a chunk packs about this many elements, but at least a tile or panel
COMBINED = large_from(1 << 10)  # vectors of results for which a chunk adds up the parts of k
STREAMS = 10  # streams from memory that a core's prefetcher can follow at a time
STEPS = 8  # steps that are packed at a time, so that a whole cache line is written at once
PRODUCTS = 50  # multiplications in a nanosecond, roughly

# Convolution and pooling --------------------------------------------------------------------

POOLING_CHUNK = large_from(1 << 16)  # a chunk reads about this many elements
CONVOLUTION_CHUNK = large_from(1 << 16)  # a chunk takes at least about this many cycles
GRADIENT_CHUNK = large_from(1 << 21)  # multiplications that are worth a chunk of weight gradients
STRIP = 1.2  # a strip of the result's gradient may take this multiple of the first-level cache
SHORT = 96  # images with fewer windows than this form strips of several images
PARTIAL = 1 << 24  # the most bytes of partial sums
FEW_PLACES = 256  # a convolution of one image is a product only with at most so many places,
LARGE_WEIGHT = 1 << 18  # and only if its weight has at least so many elements
SHARED_CHANNELS = 8  # with fewer channels in a group, a convolution has code of its own
NARROW = 8  # the most output channels of a group with the kernel for few channels
NARROW_CHUNK = large_from(1 << 19)  # multiplications that are worth a chunk of that kernel
NARROW_ADDED = 1 << 14  # a chunk of its second kernel adds about this many partial sums

# Attention ----------------------------------------------------------------------------------

QUERIES = 32  # attention has a kernel from this many queries and keys on: fewer leave lanes idle
ATTENTION_CHUNK = large_from(1 << 18)  # a chunk has about this many multiplications
UNITS = 16  # the gradients cut a few heads into parts, up to this many parts of all heads
BLOCKS = 4  # a part of a head has at least this many blocks of queries
KEYS = 128  # a block has at most this many keys
KEYS_ADDED = 256  # keys whose gradients a chunk of the gradients' second kernel adds up
#: The cost of a score in blocks of 1, 2, 3, 4 vectors of queries; with 4 vectors it is 1.
SLOWNESS = 1.35, 1.06, 1.05, 1.0
