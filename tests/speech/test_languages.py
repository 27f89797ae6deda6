"""Languages, accents and genders of voices."""

from twisted.trial.unittest import SynchronousTestCase

from waav.speech.languages import accent, gender, is_iso639_1, iso639_1, language_name


class LanguageTests(SynchronousTestCase):
    """What a caller reads in a list of voices."""

    def test_names(self) -> None:
        """A list of voices names languages in English, whatever tags a vendor uses."""
        for tag, name in (
            ("en", "English"),
            ("en-US", "English"),
            ("EN_gb", "English"),
            ("cmn-Hans-CN", "Chinese"),
            ("zh", "Chinese"),
            ("yue-HK", "Cantonese"),
            ("nb-NO", "Norwegian Bokmål"),
            ("iw", "Hebrew"),
            ("or-IN", "Odia"),
            ("tlh", "tlh"),
            ("", "Unknown"),
        ):
            self.assertEqual(language_name(tag), name)

    def test_accents(self) -> None:
        """The accent is that of the region, wherever in the tag the region stands."""
        for tag, name in (
            ("en-US", "American"),
            ("en-gb", "British"),
            ("es-419", "Latin American"),
            ("zh-Hans-CN", "Mainland China"),
            ("zh-yue-HK", "Hong Kong"),
            ("ar-SA", "Saudi"),
            ("en-ZA", "South African"),
            ("en", "Standard"),
            ("zh-Hans", "Standard"),
            ("en-x-us", "Standard"),
            ("en-TT", "TT"),
        ):
            self.assertEqual(accent(tag), name)

    def test_genders(self) -> None:
        """Female voices are not male because the word contains it."""
        for words, value in (
            ("female", "Female"),
            ("MALE", "Male"),
            ("NEUTRAL", "Neutral"),
            ("non-binary", "Neutral"),
            ("gender neutral", "Neutral"),
            (["masculine", "deep"], "Male"),
            (["feminine", "neutral"], "Female"),
            (["young", "f"], "Female"),
            ("young woman", "Female"),
            ("femalemale", "Unknown"),
            ("", "Unknown"),
            ([], "Unknown"),
        ):
            self.assertEqual(gender(words), value, words)

    def test_two_letters(self) -> None:
        """Vendors that want two letters get two letters or nothing."""
        for tag, code in (
            ("en-US", "en"),
            ("de", "de"),
            ("eng", "en"),
            ("cmn-Hans-CN", "zh"),
            ("iw", "he"),
            ("pt_BR", "pt"),
            ("auto", None),
            ("multi", None),
            ("fil-PH", None),
            ("", None),
            (None, None),
        ):
            self.assertEqual(iso639_1(tag), code)

    def test_codes_that_exist(self) -> None:
        """Two letters are not yet a language."""
        for code, exists in (("en", True), ("zu", True), ("xx", False), ("EN", False), ("", False)):
            self.assertEqual(is_iso639_1(code), exists, code)
