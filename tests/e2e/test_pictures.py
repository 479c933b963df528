"""A few hostile pictures through the three doors; ``tests.proof.corpus`` takes a whole folder."""

import struct
import zlib
from io import BytesIO

from PIL import Image

from tests.proof import corpus


def file_of(image: Image.Image, kind: str, **options: object) -> bytes:
    output = BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def huge_png() -> bytes:
    data = bytearray(file_of(Image.new("1", (8, 8)), "PNG"))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def pictures() -> dict[str, tuple[str, bytes]]:
    plain = Image.linear_gradient("L").resize((96, 64))
    photo = file_of(plain.convert("RGB"), "JPEG")
    return {
        "turned.jfif": ("accept", file_of(plain, "JPEG", exif=turned(6))),
        "inks.jpg": ("accept", file_of(plain.convert("CMYK"), "JPEG")),
        "sixteen.png": ("accept", file_of(plain.convert("I;16"), "PNG")),
        "frames.apng": (
            "accept",
            file_of(plain, "PNG", save_all=True, append_images=[plain.rotate(90)]),
        ),
        "lying.png": ("either", photo),
        "script.jpg": ("either", photo + b"<script>window.hacked=1</script>PK\x03\x04"),
        "bomb.png": ("reject", huge_png()),
        "cut.jpg": ("reject", photo[: len(photo) // 2]),
        "markup.gif": ("reject", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"),
    }


def test_are_answered_as_expected_by_screen_api_and_painter(tmp_path):
    lines = ["file,group,expected"]
    for name, (expected, data) in pictures().items():
        (tmp_path / name).write_bytes(data)
        lines.append(f"{name},own,{expected}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))

    results = corpus.prove(tmp_path)

    assert len(results) == len(pictures())
    for case, answers in results.items():
        assert {door: answer.deviations for door, answer in answers.items()} == {
            "screen": [],
            "api": [],
            "painter": [],
        }, case.path.name
