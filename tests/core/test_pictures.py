import hashlib
import io
import itertools
import pickle
import random
import struct
import time
import zlib

import pytest
from PIL import Image, ImageCms, ImageFile, JpegImagePlugin, PngImagePlugin

from core.errors import InvalidInputError
from core.picture_store import PICTURE_NAME, FolderStore, StorageError
from core.pictures import (
    MAX_BYTES,
    MAX_SCANS,
    NotAPictureError,
    Picture,
    PictureTooLargeError,
    accept_painting,
    accept_upload,
    keep,
)

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "AVIF"]
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}
BEFORE_TURNING = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
SECRET = b"do-not-tell-anybody"
RED, GREEN, BLUE, YELLOW = (220, 20, 20), (20, 180, 20), (20, 20, 220), (220, 220, 20)

both = pytest.mark.parametrize("accept", [accept_upload, accept_painting])


def file_of(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    output = io.BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def picture_file(kind: str = "PNG", **options) -> bytes:
    return file_of(four_corners(), kind, **options)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def four_corners(width: int = 96, height: int = 64) -> Image.Image:
    """Wider than high, and another colour in each quarter: every turn shows."""
    image = Image.new("RGB", (width, height))
    for number, colour in enumerate((RED, GREEN, BLUE, YELLOW)):
        corner = (number % 2 * width // 2, number // 2 * height // 2)
        image.paste(colour, (*corner, corner[0] + width // 2, corner[1] + height // 2))
    return image


def corners_of(image: Image.Image) -> list[tuple[int, ...]]:
    width, height = image.size
    places = itertools.product(
        (height // 8, height - 1 - height // 8), (width // 8, width * 7 // 8)
    )
    return [image.convert("RGB").getpixel((x, y)) for y, x in places]


def is_like(one: tuple[int, ...], other: tuple[int, ...], tolerance: int = 24) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def shows_four_corners(image: Image.Image) -> bool:
    return all(map(is_like, corners_of(image), (RED, GREEN, BLUE, YELLOW)))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, depth: int, colours: int, rows: bytes, *extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *extra,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


def jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(picture_file("JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_claiming(width: int, height: int) -> bytes:
    data = bytearray(picture_file("WEBP", lossless=True))
    bits = int.from_bytes(data[21:25], "little") >> 28 << 28
    data[21:25] = (bits | (height - 1) << 14 | (width - 1)).to_bytes(4, "little")
    return bytes(data)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with red and blue exchanged: a picture that says it is red is to be shown blue."""
    names = (b"rXYZ", b"bXYZ")
    profile = srgb_profile()
    head, table = profile[:132], profile[132 : 132 + 12 * int.from_bytes(profile[128:132], "big")]
    rest = profile[132 + len(table) :]
    table = table.replace(names[0], b"????").replace(names[1], names[0]).replace(b"????", names[1])
    return head + table + rest


def full_metadata(kind: str) -> dict[str, object]:
    exif = Image.Exif()
    exif[0x010F] = SECRET.decode()
    exif.get_ifd(0x8825)[29] = SECRET.decode()
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + SECRET + b"</x:xmpmeta>"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    profile = srgb_profile() + SECRET
    return {
        "JPEG": {"exif": exif, "xmp": xmp, "comment": SECRET, "icc_profile": profile},
        "PNG": {"exif": exif, "pnginfo": text, "icc_profile": srgb_profile()},
        "WEBP": {"exif": exif, "xmp": xmp, "icc_profile": profile},
        "GIF": {"comment": SECRET},
        "AVIF": {"exif": exif, "xmp": xmp, "icc_profile": profile},
    }[kind]


class TestAcceptUpload:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_shows_what_was_uploaded(self, kind):
        picture = accept_upload(picture_file(kind))

        assert (picture.width, picture.height) == (96, 64)
        assert opened(picture.data).size == (96, 64)
        assert shows_four_corners(opened(picture.data))
        assert shows_four_corners(opened(picture.thumbnail))

    @pytest.mark.parametrize(
        ("kind", "media_type"),
        [
            ("JPEG", "image/jpeg"),
            ("PNG", "image/png"),
            ("WEBP", "image/jpeg"),
            ("AVIF", "image/jpeg"),
            ("GIF", "image/png"),
        ],
    )
    def test_gives_what_ads_take(self, kind, media_type):
        picture = accept_upload(picture_file(kind))

        assert picture.media_type == media_type
        assert MEDIA_TYPES[opened(picture.data).format] == media_type

    @pytest.mark.parametrize("kind", FORMATS)
    def test_drops_all_metadata(self, kind):
        data = picture_file(kind, **full_metadata(kind))
        assert SECRET in data

        picture = accept_upload(data)

        for output in (picture.data, picture.thumbnail):
            for mark in (SECRET, b"Exif", b"EXIF", b"eXIf", b"xmpmeta", b"XMP", b"tEXt", b"iTXt"):
                assert mark not in output
            for mark in (b"ICC_PROFILE", b"iCCP", b"ICCP", b"Created by", b"GIF8", b"ftyp"):
                assert mark not in output

    @pytest.mark.parametrize("kind", FORMATS)
    def test_drops_what_hangs_behind_the_picture(self, kind):
        picture = accept_upload(picture_file(kind) + b"PK\x03\x04<script>" + SECRET)

        assert SECRET not in picture.data + picture.thumbnail
        assert shows_four_corners(opened(picture.data))

    def test_gives_the_same_name_for_the_same_upload(self):
        assert accept_upload(picture_file()).name == accept_upload(picture_file()).name

    def test_takes_a_jpeg_with_a_second_picture_behind_it(self):
        second = Image.new("RGB", (96, 64), BLUE)
        data = file_of(four_corners(), "MPO", save_all=True, append_images=[second])
        assert opened(data).format == "MPO"

        picture = accept_upload(data)

        assert picture.media_type == "image/jpeg"
        assert opened(picture.data).format == "JPEG"
        assert shows_four_corners(opened(picture.data))

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
    def test_takes_the_first_frame_of_an_animation(self, kind):
        others = [Image.new("RGB", (96, 64), BLUE), Image.new("RGB", (96, 64), GREEN)]
        data = picture_file(kind, save_all=True, append_images=others, duration=100)
        assert opened(data).n_frames == 3

        picture = accept_upload(data)

        assert getattr(opened(picture.data), "n_frames", 1) == 1
        assert shows_four_corners(opened(picture.data))

    def test_takes_a_progressive_jpeg(self):
        picture = accept_upload(picture_file("JPEG", progressive=True))

        assert shows_four_corners(opened(picture.data))

    @pytest.mark.parametrize("subsampling", [0, 1, 2])
    def test_keeps_the_colour_resolution_of_a_jpeg(self, subsampling):
        picture = accept_upload(picture_file("JPEG", subsampling=subsampling))

        assert JpegImagePlugin.get_sampling(opened(picture.data)) == subsampling


class TestOrientation:
    def turned(self, orientation: int, kind: str) -> bytes:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = four_corners()
        if orientation in BEFORE_TURNING:
            image = image.transpose(BEFORE_TURNING[orientation])
        return file_of(image, kind, exif=exif)

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_of_an_upload_comes_out_upright(self, kind, orientation):
        picture = accept_upload(self.turned(orientation, kind))

        assert (picture.width, picture.height) == (96, 64)
        for image in (opened(picture.data), opened(picture.thumbnail)):
            assert image.size == (96, 64)
            assert shows_four_corners(image)
            assert 0x0112 not in image.getexif()

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_of_a_painting_shows_in_its_thumbnail(self, orientation):
        data = self.turned(orientation, "JPEG")

        picture = accept_painting(data)

        assert picture.data == data
        assert (picture.width, picture.height) == (96, 64)
        assert opened(picture.thumbnail).size == (96, 64)
        assert shows_four_corners(opened(picture.thumbnail))

    @pytest.mark.parametrize("orientation", [0, 9, 65535])
    def test_that_does_not_exist_is_ignored(self, orientation):
        assert shows_four_corners(opened(accept_upload(self.turned(orientation, "JPEG")).data))

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        "exif",
        [
            b"Exif\0\0",
            b"Exif\0\0garbage",
            b"Exif\0\0II*\0\xff\xff\xff\xff",
            b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x03ab\0\0\0\0\0\0",
        ],
    )
    def test_that_is_broken_is_no_reason_to_refuse(self, exif):
        assert shows_four_corners(opened(accept_upload(picture_file("JPEG", exif=exif)).data))


class TestColours:
    def test_of_a_16_bit_picture_keep_their_tones(self):
        tones = b"".join(struct.pack(">H", number * 257) for number in range(256))
        picture = accept_upload(png_of(256, 1, 16, 0, b"\0" + tones))

        assert opened(picture.data).mode == "L"
        assert opened(picture.data).tobytes() == bytes(range(256))

    def test_of_a_16_bit_picture_keep_their_transparency(self):
        rows = b"\0" + struct.pack(">HHHH", 0, 0x1234, 0x8000, 0xFFFF)
        data = png_of(4, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 0x1234)))

        image = opened(accept_upload(data).data)

        assert image.getchannel("A").tobytes() == bytes([255, 0, 255, 255])
        assert image.getchannel("R").tobytes() == bytes([0, 18, 128, 255])

    def test_of_a_48_bit_picture_keep_their_transparency(self):
        rows = b"\0" + struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0xFFFF, 0, 0)
        key = chunk(b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC))

        image = opened(accept_upload(png_of(2, 1, 16, 2, rows, key)).data)

        assert image.getchannel("A").tobytes() == bytes([0, 255])
        assert image.getpixel((1, 0)) == (255, 0, 0, 255)

    @pytest.mark.parametrize(
        ("inks", "colour"),
        [
            ((0, 255, 255, 0), (255, 0, 0)),
            ((255, 0, 255, 0), (0, 255, 0)),
            ((0, 0, 0, 0), (255, 255, 255)),
            ((0, 0, 0, 255), (0, 0, 0)),
        ],
    )
    def test_of_printing_inks_become_colours_of_light(self, inks, colour):
        image = opened(accept_upload(file_of(Image.new("CMYK", (16, 16), inks), "JPEG")).data)

        assert image.mode == "RGB"
        assert is_like(image.getpixel((8, 8)), colour, 40)

    def test_of_a_palette_keep_their_transparency(self):
        image = Image.new("P", (3, 1))
        image.putpalette([*RED, *GREEN, *BLUE])
        image.putdata([0, 1, 2])

        output = opened(accept_upload(file_of(image, transparency=bytes([0, 128, 255]))).data)

        assert output.mode == "RGBA"
        assert output.getchannel("A").tobytes() == bytes([0, 128, 255])
        assert output.getpixel((2, 0)) == (*BLUE, 255)

    def test_of_a_palette_without_transparency_stay(self):
        assert shows_four_corners(opened(accept_upload(file_of(four_corners().quantize(8))).data))

    def test_of_a_gif_keep_their_transparency(self):
        image = Image.new("P", (2, 1))
        image.putpalette([*RED, *GREEN])
        image.putdata([0, 1])

        picture = accept_upload(file_of(image, "GIF", transparency=0))

        assert picture.media_type == "image/png"
        assert opened(picture.data).getchannel("A").tobytes() == bytes([0, 255])

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
    def test_keep_their_alpha(self, kind):
        image = four_corners()
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        options = {"lossless": True} if kind == "WEBP" else {}

        picture = accept_upload(file_of(image, kind, **options))

        for output in (opened(picture.data), opened(picture.thumbnail)):
            alpha = output.getchannel("A")
            assert alpha.getpixel((48, 2)) < 20
            assert alpha.getpixel((48, 61)) > 230
        assert picture.media_type == "image/png"

    def test_of_gray_with_alpha_keep_it(self):
        image = Image.new("LA", (8, 8), (200, 100))

        assert opened(accept_upload(file_of(image)).data).getpixel((4, 4)) == (200, 200, 200, 100)

    def test_lose_an_alpha_that_hides_nothing(self):
        output = opened(accept_upload(file_of(four_corners().convert("RGBA"))).data)

        assert output.mode == "RGB"

    def test_of_black_and_white_stay(self):
        image = Image.new("1", (16, 8), 1)
        image.paste(0, (0, 0, 8, 8))

        output = opened(accept_upload(file_of(image)).data)

        assert (output.getpixel((4, 4)), output.getpixel((12, 4))) == (0, 255)

    def test_of_a_gray_jpeg_stay_gray(self):
        output = opened(accept_upload(file_of(Image.linear_gradient("L"), "JPEG")).data)

        assert output.mode == "L"
        assert abs(output.getpixel((128, 128)) - 128) < 8

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_are_brought_from_their_profile_to_srgb(self, kind):
        data = file_of(Image.new("RGB", (32, 32), (250, 0, 0)), kind, icc_profile=swapped_profile())

        picture = accept_upload(data)

        assert is_like(opened(picture.data).getpixel((16, 16)), (0, 0, 250))
        assert is_like(opened(picture.thumbnail).getpixel((16, 16)), (0, 0, 250))

    def test_are_brought_to_srgb_without_touching_the_alpha(self):
        image = Image.new("RGBA", (2, 1), (250, 0, 0, 255))
        image.putpixel((0, 0), (250, 0, 0, 77))

        output = opened(accept_upload(file_of(image, icc_profile=swapped_profile())).data)

        assert output.getchannel("A").tobytes() == bytes([77, 255])
        assert is_like(output.getpixel((0, 0))[:3], (0, 0, 250))

    def test_of_an_srgb_picture_do_not_change(self):
        image = four_corners()

        output = opened(accept_upload(file_of(image, icc_profile=srgb_profile())).data)

        assert output.tobytes() == image.tobytes()

    @pytest.mark.parametrize(
        "profile", [b"nonsense", srgb_profile()[:200], b"\0" * 128, srgb_profile()[:-300]]
    )
    @pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
    def test_survive_a_broken_profile(self, mode, profile):
        data = file_of(Image.linear_gradient("L").convert(mode), "JPEG", icc_profile=profile)

        output = opened(accept_upload(data).data).convert("L")

        assert abs(output.getpixel((128, 200)) - 200) < 12

    @pytest.mark.parametrize("mode", ["L", "CMYK"])
    def test_survive_a_profile_for_another_kind_of_picture(self, mode):
        data = file_of(Image.linear_gradient("L").convert(mode), "JPEG", icc_profile=srgb_profile())

        output = opened(accept_upload(data).data).convert("L")

        assert abs(output.getpixel((128, 200)) - 200) < 12


class TestAcceptPainting:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_keeps_the_bytes_and_their_metadata(self, kind):
        data = picture_file(kind, **full_metadata(kind))

        picture = accept_painting(data)

        assert picture.data == data
        assert picture.media_type == MEDIA_TYPES[kind]
        assert (picture.width, picture.height) == (96, 64)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_makes_a_thumbnail_without_metadata(self, kind):
        picture = accept_painting(picture_file(kind, **full_metadata(kind)))

        assert shows_four_corners(opened(picture.thumbnail))
        assert SECRET not in picture.thumbnail


@both
class TestWhatIsNoPicture:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xff",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"\0\0\0\x18ftypavif\0\0\0\0",
            b"<html><body>not a picture</body></html>",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            b"\n" + picture_file(),
            picture_file("BMP"),
            picture_file("TIFF"),
            picture_file("ICO"),
            picture_file("JPEG2000"),
            picture_file("PPM"),
        ],
        ids=lambda data: repr(data[:12]),
    )
    def test_is_refused(self, accept, data):
        with pytest.raises(NotAPictureError, match=r"JPEG.*upload") as caught:
            accept(data)

        assert isinstance(caught.value, InvalidInputError)
        assert caught.value.__cause__ is not None

    @pytest.mark.parametrize("kind", FORMATS)
    def test_is_refused_when_cut_off(self, accept, kind):
        image = Image.effect_noise((96, 64), 80).convert("RGB")
        data = file_of(image, kind)

        for length in range(len(data) // 20, len(data) * 9 // 10, len(data) // 20):
            with pytest.raises(NotAPictureError):
                accept(data[:length])

    def test_is_refused_when_a_checksum_is_wrong(self, accept):
        data = bytearray(picture_file())
        data[-13] ^= 1  # the one of the pixels; load() alone would not notice

        with pytest.raises(NotAPictureError, match="damaged"):
            accept(bytes(data))

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("kind", FORMATS)
    def test_never_raises_anything_else(self, accept, kind):
        chance = random.Random(7)
        whole = picture_file(kind, **full_metadata(kind))

        for _ in range(150):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(min(len(data), chance.choice((40, 4000))))] = (
                    chance.randrange(256)
                )
            try:
                picture = accept(bytes(data))
            except (NotAPictureError, PictureTooLargeError):
                continue
            assert max(opened(picture.thumbnail).size) <= 400

    def test_is_refused_when_a_text_would_fill_the_memory(self, accept):
        text = b"Comment\0\0" + zlib.compress(bytes(64 * 1024**2))

        with pytest.raises(NotAPictureError):
            accept(png_of(1, 1, 8, 0, b"\0\0", chunk(b"zTXt", text)))

    def test_is_refused_when_it_would_take_minutes(self, accept):
        data = file_of(Image.new("RGB", (4000, 3000)), "JPEG", progressive=True)
        last = data.rindex(b"\xff\xda")
        started = time.process_time()

        with pytest.raises(NotAPictureError, match="too long"):
            accept(data[:last] + data[last:-2] * MAX_SCANS + b"\xff\xd9")

        assert time.process_time() - started < 1

    def test_does_not_mistake_metadata_for_passes(self, accept):
        picture = accept(picture_file("JPEG", comment=b"\xff\xda" * 1000))

        assert picture.media_type == "image/jpeg"

    def test_leaves_nothing_in_the_store(self, accept, tmp_path):
        store = FolderStore(tmp_path)

        with pytest.raises(NotAPictureError):
            keep(store, accept(b"not a picture"))

        assert list(tmp_path.rglob("*")) == []


@both
class TestWhatIsTooLarge:
    def test_in_bytes_is_refused(self, accept):
        data = picture_file("JPEG")

        with pytest.raises(PictureTooLargeError, match=r"20\.0 MB.*at most 20 MB.*smaller"):
            accept(data + bytes(MAX_BYTES + 1 - len(data)))

    def test_in_bytes_is_taken_at_the_limit(self, accept):
        data = picture_file("JPEG")

        assert accept(data + bytes(MAX_BYTES - len(data))).width == 96

    def test_in_pixels_is_refused(self, accept):
        with pytest.raises(PictureTooLargeError, match=r"8016 × 6250.*50 megapixels.*smaller"):
            accept(file_of(Image.new("1", (8016, 6250))))  # 50.1 million

    def test_in_pixels_is_taken_at_the_limit(self, accept):
        assert accept(file_of(Image.new("1", (8000, 6250)))).width == 8000

    @pytest.mark.parametrize("size", [(16385, 1), (1, 16385)])
    def test_at_one_side_is_refused(self, accept, size):
        with pytest.raises(PictureTooLargeError, match="16384 pixels a side"):
            accept(file_of(Image.new("RGB", size)))

    @pytest.mark.parametrize("size", [(16384, 1), (1, 16384)])
    def test_at_one_side_is_taken_at_the_limit(self, accept, size):
        picture = accept(file_of(Image.new("RGB", size)))

        assert (picture.width, picture.height) == size
        assert max(opened(picture.thumbnail).size) == 400
        assert min(opened(picture.thumbnail).size) == 1

    @pytest.mark.parametrize(
        "data",
        [
            jpeg_claiming(65500, 65500),
            jpeg_claiming(10000, 6000),
            webp_claiming(16384, 16384),
            webp_claiming(10000, 6000),
            png_of(60000, 60000, 8, 6, b""),
            png_of(12000, 10000, 8, 6, b""),
            png_of(10000, 6000, 8, 6, b""),
            b"GIF89a" + struct.pack("<HH", 60000, 60000) + picture_file("GIF")[10:],
        ],
        ids=lambda data: repr(data[:4]),
    )
    @pytest.mark.filterwarnings("ignore")
    def test_is_refused_before_a_pixel_is_decoded(self, accept, data, monkeypatch):
        limit = Image.MAX_IMAGE_PIXELS
        loaded: list[object] = []
        monkeypatch.setattr(ImageFile.ImageFile, "load", loaded.append)
        started = time.process_time()

        with pytest.raises(PictureTooLargeError, match="megapixels"):
            accept(data)

        assert loaded == []
        assert time.process_time() - started < 0.2
        assert limit == Image.MAX_IMAGE_PIXELS

    @pytest.mark.filterwarnings("error")
    def test_is_refused_where_warnings_are_errors(self, accept):
        with pytest.raises(PictureTooLargeError):
            accept(png_of(12000, 10000, 8, 6, b""))

    def test_for_the_memory_is_refused(self, accept, monkeypatch):
        def no_memory(_image: object) -> None:
            raise MemoryError

        monkeypatch.setattr(ImageFile.ImageFile, "load", no_memory)

        with pytest.raises(PictureTooLargeError, match="memory"):
            accept(picture_file("JPEG"))


class TestThumbnail:
    @both
    @pytest.mark.parametrize(
        ("size", "small"),
        [((1200, 800), (400, 267)), ((800, 1200), (267, 400)), ((401, 401), (400, 400))],
    )
    def test_has_400_pixels_on_its_longest_side(self, accept, size, small):
        thumbnail = opened(accept(file_of(four_corners(*size), "JPEG")).thumbnail)

        assert thumbnail.format == "WEBP"
        assert thumbnail.size == small
        assert shows_four_corners(thumbnail)

    @both
    @pytest.mark.parametrize("size", [(400, 300), (20, 30), (1, 1)])
    def test_is_never_larger_than_the_picture(self, accept, size):
        assert opened(accept(file_of(Image.new("RGB", size, RED))).thumbnail).size == size

    def test_takes_no_colour_from_what_is_invisible(self):
        image = Image.new("RGBA", (1600, 1600), (0, 255, 0, 0))
        image.paste((*RED, 255), (0, 0, 803, 1600))

        thumbnail = opened(accept_upload(file_of(image)).thumbnail)

        assert all(green < 60 for _red, green, _blue, alpha in pixels_of(thumbnail) if alpha > 40)


def pixels_of(image: Image.Image) -> list[tuple[int, ...]]:
    return [image.getpixel((x, y)) for y in range(0, image.height, 40) for x in range(image.width)]


class TestPicture:
    def test_is_named_after_its_bytes(self):
        data = picture_file()
        digest = hashlib.sha256(data).hexdigest()

        picture = accept_painting(data)

        assert picture.digest == digest
        assert picture.name == f"{digest}.png"
        assert picture.thumbnail_name == f"{digest}-400.webp"
        assert PICTURE_NAME.match(picture.name)
        assert picture.byte_size == len(data)

    def test_travels_between_processes(self):
        picture = accept_upload(picture_file())

        assert pickle.loads(pickle.dumps(picture)) == picture

    @pytest.mark.parametrize("data", [b"", bytes(MAX_BYTES + 1)])
    def test_errors_travel_between_processes(self, data):
        with pytest.raises(InvalidInputError) as caught:
            accept_upload(data)

        copy = pickle.loads(pickle.dumps(caught.value))
        assert (type(copy), str(copy)) == (type(caught.value), str(caught.value))

    def test_does_not_fill_a_log_with_its_bytes(self):
        assert len(repr(accept_upload(picture_file()))) < 200


class RecordingStore(FolderStore):
    def __init__(self, folder, full_after: int = 99) -> None:
        super().__init__(folder)
        self.saved: list[str] = []
        self.full_after = full_after

    def save(self, name: str, data: bytes) -> None:
        if len(self.saved) >= self.full_after:
            raise StorageError("The disk is full.")
        super().save(name, data)
        self.saved.append(name)


class TestKeep:
    @pytest.fixture
    def picture(self) -> Picture:
        return accept_upload(picture_file())

    def test_keeps_the_picture_and_its_thumbnail(self, tmp_path, picture):
        store = FolderStore(tmp_path)

        keep(store, picture)

        assert store.read(picture.name) == picture.data
        assert store.read(picture.thumbnail_name) == picture.thumbnail

    def test_keeps_the_thumbnail_first(self, tmp_path, picture):
        store = RecordingStore(tmp_path)

        keep(store, picture)

        assert store.saved == [picture.thumbnail_name, picture.name]

    def test_is_harmless_twice(self, tmp_path, picture):
        store = FolderStore(tmp_path)

        keep(store, picture)
        keep(store, picture)

        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2

    def test_says_so_when_only_half_could_be_kept(self, tmp_path, picture):
        store = RecordingStore(tmp_path, full_after=1)

        with pytest.raises(StorageError):
            keep(store, picture)

        assert not store.exists(picture.name)
