"""Decoded files: torchvision's pixels, bit for bit, for all kinds of files and all modes."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest

import rushlight
from rushlight.vision import io as ours

Image = pytest.importorskip("PIL.Image")
MODES = ["UNCHANGED", "GRAY", "GRAY_ALPHA", "RGB", "RGB_ALPHA"]
WIDTH, HEIGHT = 16, 9


def chunk(kind, content):
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(depth, colours, *chunks):
    """A PNG file of random pixels, with all kinds of filters."""
    rng = np.random.default_rng(depth + colours)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    row = WIDTH * depth * channels // 8
    rows = [bytes([y % 5]) + rng.bytes(row) for y in range(HEIGHT)]
    parts = [(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colours, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(*part) for part in parts])


def picture(mode, form, **options):
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, len(mode)), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels.squeeze(), mode).save(stream, form, **options)
    return stream.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture("RGB", "PNG", exif=exif)


def animation():
    frames = [Image.new("RGB", (WIDTH, HEIGHT), (9 * k, 0, 200)) for k in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


PALETTE = (b"PLTE", np.random.default_rng(2).bytes(768))
GAMMA, SRGB = (b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0")
CLEAR = (b"tRNS", np.random.default_rng(3).bytes(128))
FILES = {
    **{f"grey of {d} bits": lambda d=d: png(d, 0) for d in (1, 2, 4, 8, 16)},
    **{
        f"{name} of {d} bits": lambda d=d, colours=colours, chunks=chunks: png(d, colours, *chunks)
        for d in (8, 16)
        for name, colours, chunks in (
            ("grey and alpha", 4, []), ("rgb", 2, []), ("rgba", 6, []), ("rgb with gamma", 2, [GAMMA]),
            ("rgba in sRGB", 6, [SRGB]), ("rgb with a clear colour", 2, [(b"tRNS", bytes(6))]),
            ("grey with a clear colour", 0, [(b"tRNS", bytes(2))]),
        )
    },
    "palette": lambda: png(8, 3, PALETTE),
    "palette with alpha": lambda: png(8, 3, PALETTE, CLEAR),
    "palette of 4 bits": lambda: png(4, 3, (b"PLTE", PALETTE[1][:48]), (b"tRNS", CLEAR[1][:9])),
    **{f"jpeg {mode}": lambda mode=mode: picture(mode, "JPEG") for mode in ("L", "RGB", "CMYK")},
    "jpeg of whole colours": lambda: picture("RGB", "JPEG", subsampling=0),
    **{f"webp {mode}": lambda mode=mode: picture(mode, "WEBP") for mode in ("RGB", "RGBA")},
    "gif": lambda: picture("L", "GIF"),
    "animated gif": animation,
}  # fmt: skip
UNINITIALISED = {  # torchvision returns memory that it has not written
    ("palette", "GRAY_ALPHA"), ("palette", "RGB_ALPHA"), ("palette of 4 bits", "UNCHANGED"),
}  # fmt: skip


def decoded(torch, io, data, mode, **options):
    try:
        found = io.decode_image(
            torch.frombuffer(bytearray(data), dtype=torch.uint8), mode, **options
        )
    except RuntimeError:
        return None
    return found.numpy()


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_pixels_are_torchvisions(name):
    torch, theirs = pytest.importorskip("torch"), pytest.importorskip("torchvision.io")
    for mode in MODES:
        if (name, mode) not in UNINITIALISED:
            got = decoded(rushlight, ours, FILES[name](), mode)
            want = decoded(torch, theirs, FILES[name](), mode)
            assert (got is None) == (want is None), mode
            if want is not None:
                assert (got.dtype, got.shape) == (want.dtype, want.shape), mode
                assert np.array_equal(got, want), mode


@pytest.mark.parity
def test_pictures_are_turned_as_by_torchvision():
    torch, theirs = pytest.importorskip("torch"), pytest.importorskip("torchvision.io")
    for orientation, turn in itertools.product(range(10), (True, False)):
        found = [
            decoded(t, io, turned(orientation), "RGB", apply_exif_orientation=turn)
            for t, io in ((rushlight, ours), (torch, theirs))
        ]
        assert np.array_equal(*found), orientation


def test_forms_of_results():
    read = lambda name, mode="UNCHANGED": decoded(rushlight, ours, FILES[name](), mode)
    assert read("palette").shape == (1, HEIGHT, WIDTH)  # indices
    assert read("palette of 4 bits").max() == 15
    assert (read("palette", "RGB_ALPHA")[3] == 255).all()
    assert read("rgba of 16 bits").dtype == np.uint16 and read("jpeg CMYK").shape[0] == 4
    assert read("animated gif").shape == (3, 3, HEIGHT, WIDTH)
    assert read("jpeg RGB", "RGB_ALPHA") is None
    red, green, blue = read("rgb of 8 bits").astype(int)
    grey = read("rgb of 8 bits", "GRAY")[0]
    different = (red != green) | (red != blue)
    want = (9794 * red + 19234 * green + 3740 * blue) >> 15
    assert np.array_equal(grey[different], want[different])


def test_files_that_are_missing(tmp_path):
    for read in (ours.read_file, ours.read_image, ours.decode_image):
        with pytest.raises(RuntimeError, match="No such file"):
            read(str(tmp_path / "none"))
    with pytest.raises(RuntimeError, match="No such file"):
        ours.write_file(tmp_path / "none" / "x", rushlight.zeros(1, dtype=rushlight.uint8))
