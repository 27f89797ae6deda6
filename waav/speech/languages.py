"""Languages, accents and genders in the words ``GET /voices`` uses."""

import re
from collections.abc import Iterable
from typing import Final

_LANGUAGES: Final[dict[str, str]] = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "arb": "Arabic",
    "as": "Assamese",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cmn": "Chinese",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fil": "Filipino",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "gu": "Gujarati",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "iw": "Hebrew",
    "ja": "Japanese",
    "jv": "Javanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "kn": "Kannada",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "ml": "Malayalam",
    "mr": "Marathi",
    "ms": "Malay",
    "nb": "Norwegian Bokmål",
    "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian",
    "or": "Odia",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sq": "Albanian",
    "sr": "Serbian",
    "su": "Sundanese",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "yue": "Cantonese",
    "zh": "Chinese",
    "zu": "Zulu",
}

_ACCENTS: Final[dict[str, str]] = {
    "419": "Latin American",
    "AE": "Emirati",
    "AR": "Argentinian",
    "AT": "Austrian",
    "AU": "Australian",
    "BE": "Belgian",
    "BR": "Brazilian",
    "CA": "Canadian",
    "CH": "Swiss",
    "CL": "Chilean",
    "CN": "Mainland China",
    "CO": "Colombian",
    "DE": "German",
    "DK": "Danish",
    "EG": "Egyptian",
    "ES": "Spain",
    "FI": "Finnish",
    "FR": "French",
    "GB": "British",
    "HK": "Hong Kong",
    "ID": "Indonesian",
    "IE": "Irish",
    "IL": "Israeli",
    "IN": "Indian",
    "IT": "Italian",
    "JP": "Japanese",
    "KE": "Kenyan",
    "KR": "Korean",
    "MX": "Mexican",
    "MY": "Malaysian",
    "NG": "Nigerian",
    "NL": "Dutch",
    "NO": "Norwegian",
    "NZ": "New Zealand",
    "PE": "Peruvian",
    "PH": "Filipino",
    "PL": "Polish",
    "PT": "Portuguese",
    "RU": "Russian",
    "SA": "Saudi",
    "SE": "Swedish",
    "SG": "Singaporean",
    "TH": "Thai",
    "TR": "Turkish",
    "TW": "Taiwanese",
    "UA": "Ukrainian",
    "US": "American",
    "VE": "Venezuelan",
    "VN": "Vietnamese",
    "ZA": "South African",
}

# Three-letter and withdrawn codes of languages that have a two-letter one.
_TWO_LETTERS: Final[dict[str, str]] = {
    "ara": "ar",
    "arb": "ar",
    "chi": "zh",
    "cmn": "zh",
    "deu": "de",
    "eng": "en",
    "fra": "fr",
    "fre": "fr",
    "ger": "de",
    "hin": "hi",
    "ita": "it",
    "iw": "he",
    "jpn": "ja",
    "kor": "ko",
    "nld": "nl",
    "pol": "pl",
    "por": "pt",
    "rus": "ru",
    "spa": "es",
    "tur": "tr",
    "ukr": "uk",
    "zho": "zh",
}

_FEMALE: Final = frozenset({"female", "feminine", "woman", "women", "f", "lady", "girl"})
_MALE: Final = frozenset({"male", "masculine", "man", "men", "m", "gentleman", "boy"})
_NEUTRAL: Final = frozenset({"neutral", "gender_neutral", "non_binary", "nonbinary"})


def language_name(tag: str) -> str:
    """English name of the language of a BCP-47 tag; the code itself where we know no name."""
    code = _subtags(tag)[0]
    return _LANGUAGES.get(code.lower(), code) or "Unknown"


def accent(tag: str) -> str:
    """How people call the accent of a BCP-47 tag's region; "Standard" without a region."""
    region = _region(tag)
    return _ACCENTS.get(region, region) if region else "Standard"


def gender(words: str | Iterable[str]) -> str:
    """``Female``, ``Male``, ``Neutral`` or ``Unknown``, from a vendor's label or list of tags.

    Whole words are compared: "female" is not a kind of "male".
    """
    tokens = {words} if isinstance(words, str) else set(words)
    tokens = {re.sub(r"[\s-]", "_", token.strip().lower()) for token in tokens}
    tokens |= {part for token in tokens for part in token.split("_")}
    for group, name in ((_FEMALE, "Female"), (_MALE, "Male"), (_NEUTRAL, "Neutral")):
        if tokens & group:
            return name
    return "Unknown"


_ISO_639_1: Final = frozenset(
    re.findall(
        "[a-z]{2}",
        """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv
    cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho
    hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku
    kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn
    no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm
    sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi
    vo wa wo xh yi yo za zh zu
    """,
    )
)


def is_iso639_1(code: str) -> bool:
    """Whether ISO 639-1 has this code, lower case."""
    return code in _ISO_639_1


def iso639_1(tag: str | None) -> str | None:
    """Two-letter code of a BCP-47 tag's language, for vendors that want just that.

    None where there is none: no language at all, ``auto``, ``multi``, or one that has only three letters.
    """
    code = _subtags(tag or "")[0].lower()
    code = _TWO_LETTERS.get(code, code)
    return code if re.fullmatch("[a-z]{2}", code) else None


def _subtags(tag: str) -> list[str]:
    return tag.strip().replace("_", "-").split("-")


def _region(tag: str) -> str:
    """The first subtag of two letters or three digits behind the language; upper case; "" if there is none."""
    for subtag in _subtags(tag)[1:]:
        if len(subtag) == 1:  # what follows are extensions
            return ""
        if re.fullmatch(r"[A-Za-z]{2}|[0-9]{3}", subtag):
            return subtag.upper()
    return ""
