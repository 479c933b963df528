"""What a title is about, as one sign of the emoji font.

A title's own emoji says it best; otherwise the earliest word of the title that we know does.
"""

import re
import unicodedata

# Beginnings of words without accents, in Portuguese, Spanish and English.
_TOPICS = {
    "🎂": "confeit bolo cake torta pastel reposter",
    "🧁": "doce cupcake brigadeir dulce sweet sobremesa postre dessert brownie",
    "🍞": "pao paes pan panes panader padaria bread sourdough fermentacao masa",
    "🍳": "cozinh cocina cook culinari receita receta recipe chef marmita gastronom aliment",
    "🥗": "emagre dieta adelgaz nutri vegan vegetar salad keto lowcarb jejum ayuno",
    "☕": "cafe barista coffee",
    "🍷": "vinho vino wine sommelier",
    "🍕": "pizza",
    "💬": "ingles english espanhol espanol spanish frances french aleman alemao idioma language "
    "italian italiano fluent fluid conversa conversation oratori comunica speak",
    "🎸": "violao guitar guitarra ukulele",
    "🎹": "piano pianist teclado keyboard",
    "🎤": "canto cantar sing singing vocal voz locucao podcast",
    "🥁": "bateria percuss drum",
    "🎵": "music musica harmonia",
    "💻": "python programa codigo code coding javascript dev web software excel dados datos data "
    "computa informatic",
    "📈": "invest financ finanz trader trading bolsa renda ingreso dinheiro dinero money acoes "
    "dividend",
    "💰": "riqueza econom milhao millon lucrat divida deuda",
    "📣": "market copywrit vend venta sales anuncio trafego trafico ads lancamento lanzamiento "
    "afiliad",
    "📱": "instagram tiktok celular movil mobile app social reels whatsapp",
    "📷": "foto fotogra photo camera retrato",
    "🎬": "video film cine edicao edicion",
    "🎨": "pintar pintura desenh dibuj aquarel acuarel draw drawing watercolor paint ilustra "
    "design",
    "🧶": "croche crochet tricot trico amigurumi knit tejid ganchillo",
    "🧵": "costur sewing bordad embroid patchwork moda",
    "🪵": "madeir madera wood woodwork marcenaria carpint",
    "🕯": "vela candle",
    "🧼": "sabon jabon soap saboaria",
    "🐶": "cao caes cachorr perro dog adestra filhote puppy",
    "🐱": "gato cat felin",
    "🐾": "pet mascota animal veterinar",
    "🧘": "yoga ioga medita mindful relax",
    "💪": "muscul fitness treino entren workout abdom forca fuerza gym hipertrof glute",
    "🏃": "corrida correr running maratona maraton",
    "🪴": "jardin jardim garden planta plants suculent horta huerto orquid",
    "👶": "bebe baby sono sueno materni crianza sleep newborn gestante parto",
    "👪": "pais padres parent filho familia hijo",
    "💄": "maquiag maquilla makeup beleza belleza",
    "💅": "unha unas nail manicure manicura",
    "✂": "cabelo cabello hair barbe corte",
    "🧠": "mente mind memori ansiedad psicol foco focus habit cerebr",
    "❤": "amor casal pareja relacion love relationship",
    "🔮": "taro tarot astrolog numerolog",
    "✈": "nomad viagem viagens viaja viaje travel turism",
    "🎓": "enem concurs vestibul oposic faculd exam matemat estud study",
    "📚": "livro libro book leitura lectura escrev escrib writ redacao",
    "🏠": "casa home decora imovel imob inmueb",
    "🔧": "eletric electric mecanic repar conserto",
    "🚀": "negocio business startup empreend emprend produtiv product",
}
_BY_STEM = {stem: sign for sign, stems in _TOPICS.items() for stem in stems.split()}
_SHORTEST = min(map(len, _BY_STEM))
_LONGEST = max(map(len, _BY_STEM))
_WHOLE_WORD_BELOW = 5
"""Shorter stems count as whole words only: "ads" is not the beginning of "adsorb"."""


def motif_for(title: str) -> str | None:
    """Return a sign for what the title is about, or None where no word is known."""
    plain = unicodedata.normalize("NFKD", title.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    for word in re.findall(r"[a-z]+", plain):
        sign = _sign_of(word)
        if sign is not None:
            return sign
    return None


def _sign_of(word: str) -> str | None:
    for end in range(min(len(word), _LONGEST), _SHORTEST - 1, -1):
        stem = word[:end]
        is_whole = word in (stem, stem + "s")
        if stem in _BY_STEM and (is_whole or end >= _WHOLE_WORD_BELOW):
            return _BY_STEM[stem]
    return None
