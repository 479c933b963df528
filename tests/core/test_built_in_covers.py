import io
import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from random import Random

import pytest
from PIL import Image, ImageChops

from core.built_in_covers import BuiltInPainter, design_for, set_words
from core.built_in_covers.canvas import SIZE
from core.built_in_covers.compositions import COMPOSITIONS, MARGIN
from core.built_in_covers.motifs import motif_for
from core.built_in_covers.palettes import PALETTES, READABLE, contrast
from core.built_in_covers.typesetting import (
    SIGNS,
    TEXT,
    TITLE_FACES,
    has_glyph,
    headline_and_rest,
    readable,
    set_paragraph,
)
from core.painting import PaintOrder

TITLES = (
    "Confeitaria Lucrativa: bolos, doces e finanças 🎂",
    "Inglês Fluente em 90 Dias",
    "Planilhas que Pensam: Excel do Básico ao Avançado",
    "Clube do Crochê Criativo 🧶",
    "Violão do Zero: toque 30 músicas",
    "Huerto Urbano: cosecha en tu balcón 🪴",
    "Python for Curious Minds",
    "Receitas para uma Semana Leve",
    "Mentoria Vendas com Propósito",
    "Encontro Ao Vivo: Fotografia de Produto",
    "El Arte de la Fotografía Móvil",
    "Copywriting que Vende sem Gritar",
    "Adestramento Positivo: o cão que escuta 🐶",
    "Método Emagreça com Saúde 🥗",
    "Corte & Costura: sua primeira coleção 🧵",
    "Panadería Artesanal: masa madre sin misterios 🍞",
    "Crianza Tranquila: límites con cariño",
    "Investindo do Zero ao Primeiro Milhão",
    "Sono do Bebê: noites inteiras com carinho",
    "Yoga em Família",
    "Café Especial em Casa ☕",
    "Aquarela Botânica",
    "Corre tus Primeros 10K 🏃",
    "Tráfego Pago na Prática 🚀",
)

HOSTILE = (
    "",
    "   ",
    "\x00\x01\x1b[31m\x7f",
    "lone \ud800 surrogate \udfff",
    "{title} {0} %s %(x)d ${HOME}",
    "**x** :smile: <script>alert(1)</script>",
    "palavra " * 1250,
    "x" * 10_000,
    "W" * 120,
    "Pneumoultramicroscopicossilicovulcanoconióticoextraordinariamente",
    "a " * 60,
    "تعلم اللغة العربية",
    "中文入门课程",
    "🎂🎸🐶",
    "👨\u200d👩\u200d👧 👍🏽 1️⃣ 🇧🇷 e mais",
    "Z\u0338\u0321a\u0334\u0303\u0315l\u0337g\u0301o" + "\u0301" * 300,
    "\u202egnirts \u200b\ufeff desrever",
    "\U0010ffff\ufffe",
    "?!…",
    ": | - \u2013",
    "-----------------------------------------------------------------",
)


def make_order(title: str = "Café Especial", **changes) -> PaintOrder:
    boring = {"title": title, "producer": "Torra Clara", "prompt": "", "variant": 0}
    return PaintOrder(**boring | changes)


def painted(order: PaintOrder) -> Image.Image:
    return Image.open(io.BytesIO(BuiltInPainter().paint(order).data)).convert("RGB")


def average(picture: Image.Image) -> tuple[int, ...]:
    return picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))


@pytest.fixture(scope="module")
def covers() -> list[bytes]:
    """One cover for each of 24 titles, as a page of the grid shows them."""
    return [BuiltInPainter().paint(make_order(title)).data for title in TITLES]


class TestPaint:
    def test_gives_a_square_jpeg_of_1200_pixels_that_costs_nothing(self):
        painting = BuiltInPainter().paint(make_order())

        picture = Image.open(io.BytesIO(painting.data))
        assert (picture.format, picture.size) == ("JPEG", (1200, 1200))
        assert painting.size == "1200x1200"
        assert painting.model is None
        assert painting.cost_usd is None
        assert BuiltInPainter.is_paid is False

    def test_stays_small_enough_to_send_around(self, covers):
        assert max(map(len, covers)) < 400_000

    def test_gives_the_same_bytes_for_the_same_order(self):
        assert BuiltInPainter().paint(make_order()) == BuiltInPainter().paint(make_order())

    def test_gives_the_same_bytes_from_several_threads(self, covers):
        painter = BuiltInPainter()

        with ThreadPoolExecutor(6) as pool:
            paintings = list(pool.map(painter.paint, [make_order(title) for title in TITLES]))

        assert [painting.data for painting in paintings] == covers

    def test_gives_another_picture_for_every_variant(self):
        pictures = {BuiltInPainter().paint(make_order(variant=v)).data for v in range(-2, 16)}

        assert len(pictures) == 18

    def test_changes_colours_and_composition_with_the_next_variant(self):
        first, second = (design_for(make_order(variant=variant)) for variant in (0, 1))

        assert first.palette != second.palette
        assert first.composition != second.composition

    def test_sets_the_marketers_words_in_the_offers_own_colours(self):
        plain = design_for(make_order())
        prompted = design_for(make_order(prompt="Só esta semana"))

        assert plain == prompted
        assert painted(make_order()) != painted(make_order(prompt="Só esta semana"))

    def test_names_the_producer(self):
        assert painted(make_order()) != painted(make_order(producer=None))

    @pytest.mark.parametrize(("bare", "accented"), [("E", "É"), ("c", "ç"), ("A", "Ã"), ("n", "ñ")])
    def test_draws_accents(self, bare, accented):
        without = painted(make_order("Curso", prompt=bare))
        with_accent = painted(make_order("Curso", prompt=accented))

        assert without != with_accent

    def test_gives_neighbours_clearly_different_colours(self, covers):
        averages = [average(Image.open(io.BytesIO(cover))) for cover in covers]

        distances = [math.dist(left, right) for left, right in pairwise(averages)]
        assert min(distances) > 25
        assert sorted(distances)[len(distances) // 2] > 90

    @pytest.mark.parametrize("text", HOSTILE)
    def test_survives_any_text(self, text):
        picture = painted(make_order(text, producer=text))

        assert picture.size == (1200, 1200)
        assert average(painted(make_order(text, prompt=text, variant=10**12 + 7)))


class TestSetWords:
    @pytest.mark.parametrize("variant", range(len(COMPOSITIONS)))
    def test_keeps_the_words_inside_their_place(self, variant):
        orders = [make_order("Título", prompt=text, variant=variant) for text in HOSTILE + TITLES]
        design = design_for(orders[0])
        stage = design.stage()

        boxes = [set_words(stage, design, order) for order in orders]

        left, top, right, bottom = stage.words
        set_ones = [box for box in boxes if box is not None]
        assert len(set_ones) > len(TITLES)
        assert all(left - 1 <= box[0] <= box[2] <= right + 1 for box in set_ones)
        assert all(top - 1 <= box[1] <= box[3] <= bottom + 1 for box in set_ones)

    def test_draws_nothing_of_the_words_outside_the_box_it_returns(self):
        order = make_order("Título", prompt="Ação Ágil", producer=None, variant=1)
        design = design_for(order)
        blank, stage = design.stage(), design.stage()

        box = set_words(stage, design, order)

        assert box is not None
        changed = ImageChops.difference(blank.canvas.image, stage.canvas.image).getbbox()
        slack = 3  # a round letter's edge
        assert changed is not None
        assert box[0] - slack <= changed[0] <= changed[2] <= box[2] + slack
        assert box[1] - slack <= changed[1] <= changed[3] <= box[3] + slack

    def test_leaves_the_words_out_when_no_font_has_them(self):
        order = make_order("中文入门课程", producer=None)
        design = design_for(order)

        assert set_words(design.stage(), design, order) is None


class TestPalettes:
    @pytest.mark.parametrize("palette", PALETTES, ids=lambda palette: palette.name)
    def test_can_be_read(self, palette):
        assert all(contrast(palette.ink, ground) >= READABLE for ground in palette.grounds)

    def test_contrast_is_wcags(self):
        assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
        assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


class TestCompositions:
    @pytest.mark.parametrize("composition", COMPOSITIONS, ids=lambda function: function.__name__)
    def test_keep_a_readable_place_for_the_words(self, composition):
        for seed, palette in enumerate(PALETTES):
            stage = composition(palette, Random(seed))
            colours = stage.canvas.image.crop(stage.words).getcolors(SIZE * SIZE)
            assert min(contrast(palette.ink, colour) for _, colour in colours) >= READABLE

    @pytest.mark.parametrize("composition", COMPOSITIONS, ids=lambda function: function.__name__)
    def test_keep_the_words_off_the_edges(self, composition):
        stage = composition(PALETTES[0], Random(1))

        left, top, right, bottom = stage.words
        assert min(left, top, SIZE - right, SIZE - bottom) >= MARGIN * 0.75

    def test_differ_from_each_other(self):
        pictures = {
            composition(PALETTES[0], Random(1)).canvas.image.tobytes()
            for composition in COMPOSITIONS
        }

        assert len(pictures) == len(COMPOSITIONS)


class TestReadable:
    @pytest.mark.parametrize("face", [*TITLE_FACES, TEXT], ids=lambda face: face.file)
    def test_every_face_has_the_letters_of_our_three_languages(self, face):
        letters = "áàâãäéêíóôõöúüçñÁÀÂÃÉÊÍÓÔÕÚÜÇÑ¿¡ªº«»“”\u2018\u2019\u2013—…€$&@%"

        assert [letter for letter in letters if not has_glyph(face, letter)] == []

    @pytest.mark.parametrize("face", [*TITLE_FACES, TEXT, SIGNS], ids=lambda face: face.file)
    def test_knows_what_a_font_lacks(self, face):
        assert not any(has_glyph(face, char) for char in "中ع\U0010fffe\ue000")

    @pytest.mark.parametrize("text", HOSTILE)
    @pytest.mark.parametrize("face", TITLE_FACES, ids=lambda face: face.file)
    def test_leaves_no_empty_boxes(self, text, face):
        words = readable(text, face)

        drawn = [char for char in words.text if char != " "]
        assert all(has_glyph(face, char) or has_glyph(SIGNS, char) for char in drawn)
        assert all(has_glyph(SIGNS, sign) for sign in words.signs)

    def test_lifts_emoji_off_the_ends_and_keeps_those_between_words(self):
        words = readable("🎂 I ❤ Python 🐍", TITLE_FACES[0])

        assert words.text == "I ❤ Python"
        assert words.signs == ("🎂", "🐍")

    def test_takes_plain_letters_for_fancy_ones(self):
        assert readable("𝗖𝘂𝗿𝘀𝗼 ＡＢＣ", TITLE_FACES[0]).text == "Curso ABC"

    def test_shows_markup_as_it_was_typed(self):
        assert readable("**x** <b> {y}", TITLE_FACES[0]).text == "**x** <b> {y}"

    def test_shortens_at_a_word(self):
        text = readable("palavra " * 40, TITLE_FACES[0]).text

        assert len(text) <= 120
        assert text.endswith("palavra…")


class TestSetParagraph:
    def test_breaks_lines_evenly(self):
        paragraph = set_paragraph("casa bolo mesa pano", TEXT, 520, 230, largest=100)

        assert paragraph.lines == ("casa bolo", "mesa pano")

    def test_keeps_words_whole_while_they_can_be_read(self):
        paragraph = set_paragraph("Confeitaria Lucrativa", TEXT, 900, 400, largest=200)

        assert paragraph.lines == ("Confeitaria", "Lucrativa")

    def test_cuts_a_word_that_would_get_too_small(self):
        word = "Pneumoultramicroscopicossilicovulcanoconiótico"

        paragraph = set_paragraph(word, TEXT, 600, 500, largest=200)

        assert len(paragraph.lines) > 1
        assert all(line.endswith("-") for line in paragraph.lines[:-1])
        assert "".join(line.removesuffix("-") for line in paragraph.lines) == word
        assert paragraph.size >= 72


class TestHeadlineAndRest:
    @pytest.mark.parametrize(
        ("title", "parts"),
        [
            ("Sono do Bebê: noites inteiras", ("Sono do Bebê", "noites inteiras")),
            ("Excel - Dashboards", ("Excel", "Dashboards")),
            ("Full-Stack em 10:30 horas", ("Full-Stack em 10:30 horas", "")),
            ("Aquarela", ("Aquarela", "")),
        ],
    )
    def test_splits_where_a_name_ends(self, title, parts):
        assert headline_and_rest(title) == parts


class TestMotifFor:
    @pytest.mark.parametrize(
        ("title", "sign"),
        [
            ("Confeitaria Lucrativa", "🎂"),
            ("Curso de Violão do Zero", "🎸"),
            ("El Arte de la Fotografía Móvil", "📷"),
            ("INGLÊS para viagens", "💬"),
            ("Dogs", "🐶"),
            ("Dogma", None),
            ("Qualquer coisa", None),
        ],
    )
    def test_finds_the_earliest_topic(self, title, sign):
        assert motif_for(title) == sign

    def test_only_uses_signs_the_font_has(self):
        from core.built_in_covers import motifs

        assert [sign for sign in motifs._TOPICS if not has_glyph(SIGNS, sign)] == []
