"""Numbers, dims, shapes and indices that suit the first value of a line."""

from tests.search.programs import grammar


class Unfit(Exception):
    """No value suits the slot."""


class Parameters:
    """Methods named like the grammar's slots; ``self.first`` is the value that they have to suit."""

    def size_of(self, d):
        if self.first.ndim < -d if d < 0 else self.first.ndim <= d:
            raise Unfit
        return self.first.shape[d]

    def few(self, most=4):
        return self.random.randint(1, most)

    # Numbers --------------------------------------------------------------------------------

    def dim(self):
        """The line's dim, counted from the front."""
        d, n = int(self.slot_of("d")), max(self.first.ndim, 1)
        if not -n <= d < n:
            raise Unfit
        return d % n

    def sized(self):
        """The size of the line's dim."""
        return self.first.shape[self.dim()] if self.first.ndim else 1

    def d(self):
        n = max(self.first.ndim, 1)
        return self.random.randrange(-n, n) if self.random.random() < 0.99 else n

    d2 = d

    def ds(self):
        n = self.first.ndim
        return tuple(self.random.sample(range(n), self.random.randint(min(n, 1), n)))

    def k(self):
        return self.random.random() < 0.5

    def s(self):
        return self.random.choice([0.5, 2, 1.5, -1, 0.1, 3, -0.75, True])

    def si(self):
        return self.random.choice([0, 1, 2, -1, 3])

    def step(self):
        return self.few(2)

    def pad(self):
        return self.random.randint(0, 1)

    def red(self):
        return self.random.choice(["'mean'", "'sum'", "'none'"])

    def bag(self):
        return self.random.choice(["'mean'", "'sum'", "'max'"])

    def how(self):
        return self.random.choice(["'sum'", "'prod'", "'mean'"])

    def how2(self):
        return self.random.choice(["'amax'", "'amin'"])

    def how3(self):
        return self.random.choice(["'prod'", "'mean'", "'amax'", "'amin'"])

    def t(self):
        rare = self.random.random() < 0.1
        return "T." + self.random.choice(grammar.DTYPES if rare else grammar.COMMON)

    def bits(self):
        """A dtype as which bytes can be seen: any byte but 0 and 1 is no bool."""
        if not self.first.numel():  # PyTorch's strides of empty tensors follow no rule
            raise Unfit
        found = self.t()
        return "T.uint8" if found == "T.bool" else found

    def ft(self):
        return "T." + self.random.choice(grammar.FLOATS)

    def ndim(self):
        return self.first.ndim

    def numel(self):
        return self.first.numel()

    def shape(self):
        return tuple(self.first.shape)

    def size(self):
        return self.sized()

    def dim0(self):
        return max(self.size_of(0), 1)

    def lastsize(self):
        return self.size_of(-1)

    def lastdim(self):
        return [self.size_of(-1)]

    def lastdims(self):
        return list(self.first.shape[self.random.randrange(max(self.first.ndim, 1)) :])

    def at(self):
        n = self.sized()
        return self.random.randrange(-n, n) if n else 0

    def narrow(self):
        n = self.sized()
        start = self.random.randint(0, n)
        return f"{start}, {self.random.randint(0, n - start)}"

    def window(self):
        return self.random.randint(0, self.sized())

    def perm(self):
        return tuple(self.random.sample(range(self.first.ndim), self.first.ndim))

    def viewshape(self):
        """The shape with dims joined and split."""
        shape = list(self.first.shape)
        for _ in range(2):
            i = self.random.randrange(len(shape) + 1)
            if self.random.random() < 0.5 and i + 1 < len(shape):
                shape[i : i + 2] = [shape[i] * shape[i + 1]]
            elif i < len(shape) and shape[i] and shape[i] % 2 == 0:
                shape[i : i + 1] = [2, shape[i] // 2]
            else:
                shape.insert(i, 1)
        return tuple(shape)

    def expand(self):
        ones = [self.few(3) if n == 1 else self.random.choice([n, -1]) for n in self.first.shape]
        return tuple([self.few(3)] * (self.random.random() < 0.5) + ones)

    def repeats(self):
        return tuple([self.few(2)] * (self.first.ndim or 1))

    def strided(self):
        """Shape, strides and offset within the memory of the first value."""
        x = self.first
        size = x.untyped_storage().nbytes() // x.element_size()
        shape = [self.few() for _ in range(self.random.randint(0, 3))]
        strides = [self.random.choice([0, 1, 1, 2, 3, *x.stride()]) for _ in shape]
        span = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if span > size:
            raise Unfit
        offset = self.random.choice([0, x.storage_offset(), self.random.randint(0, size - span)])
        offset = min(offset, size - span)
        return f"{tuple(shape)}, {tuple(strides)}, {offset}"

    # Indices --------------------------------------------------------------------------------

    def item(self, n):
        r = self.random
        choices = [":", f"{r.randint(0, n)}:", f":{r.randint(-n, n)}", "::2", "None, :"]
        choices += [f"{r.randrange(-n, n)}", f"{r.randrange(n)}:{n}:{r.randint(1, 3)}"] if n else []
        return r.choice(choices)

    def index(self):
        """Ints, slices, None and "..."."""
        sizes = self.first.shape
        taken = self.random.randint(0, len(sizes))
        items = [self.item(n) for n in sizes[:taken]]
        if self.random.random() < 0.3:
            items.append("...")
        elif self.random.random() < 0.2 and taken < len(sizes):
            items = ["...", *[self.item(n) for n in sizes[taken:]]]
        return ", ".join(items) or "..."

    def advanced(self):
        """With lists and tensors of places among them."""
        sizes, items = self.first.shape, []
        count = self.few(3)
        for n in sizes[: self.random.randint(1, 3)]:
            draw = self.random.random()
            places = [self.random.randrange(-n, n) for _ in range(count)] if n else []
            if draw < 0.4:
                items.append(f"T.tensor({places}, dtype=T.int64)")
            elif draw < 0.5:
                items.append(f"T.tensor({[[p] for p in places]}, dtype=T.int64)" if places else ":")
            elif draw < 0.6:
                items.append(str(places))
            else:
                items.append(self.item(n))
        return ", ".join(items) or "None"

    def integers(self, count, n):
        if not n and count:
            raise Unfit
        return f"T.tensor({[self.random.randrange(n) for _ in range(count)]}, dtype=T.int64)"

    def along(self):
        return self.integers(self.few(), self.sized())

    def all(self):
        return self.integers(self.sized(), self.sized())

    def all0(self):
        n = self.size_of(0)
        if not n:
            raise Unfit
        return self.integers(n, n)

    def once(self):
        n = self.sized()
        return f"T.tensor({self.random.sample(range(n), n)}, dtype=T.int64)"

    def flat(self):
        return self.integers(self.few(), self.first.numel())

    def places(self):
        if not self.sized():
            raise Unfit
        x = self.name
        mixed = f"T.arange({self.first.numel()}).reshape({tuple(self.first.shape)})"
        return f"({mixed} * {self.random.choice([1, 3, 7])} % {self.sized()})" if x else ""

    def classes(self):
        if self.first.ndim != 2:
            raise Unfit
        return self.integers(self.first.shape[0], self.first.shape[1])
