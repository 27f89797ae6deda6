"""What is for the eye only: tags, Markdown, emoji, odd spaces. Breaks become pauses."""

import html
import re
import unicodedata
from typing import Final

PAUSE: Final = "\ue000"
PAUSE_END: Final = "\ue001"
"""Around the milliseconds of a pause. Characters for private use; those of the text itself are dropped before."""

LONGEST_PAUSE_MS: Final = 5000
"""A longer one sounds as if the call had gone."""

_PARAGRAPH: Final = "\n"


def plain(text: str) -> str:
    """``text`` without markup, in the characters that the rules know; lines end where speech does."""
    text = _without_tags(_in_known_characters(text))
    if "&" in text:
        text = html.unescape(text)
    lines = [_without_line_marks(line) for line in text.split("\n")]
    return _without_marks(_joined(lines))


# Characters.

_SAME: Final = {
    "’": "'", "‘": "'", "‛": "'", "ʼ": "'", "´": "'", "`": "`", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "‐": "-", "‑": "-", "‒": "–", "―": "—", "⁃": "-", "﹣": "-", "−": "−",
    "\u00a0": " ", "\u202f": " ", "\u2007": " ", "\u2009": " ", "\u3000": " ", "\t": " ",
    "\u2028": "\n", "\u2029": "\n\n", "\r": "\n", "\x0b": "\n", "\x0c": "\n",
    "º": "°", "˚": "°", "℃": "°C", "℉": "°F", "μ": "µ", "⁄": "/", "∕": "/", "∗": "*", "·": " ", "•": "\n- ", "‣": "\n- ",
    "◦": "\n- ", "▪": "\n- ", "…": "…", "™": "", "®": "", "�": "", "＃": "#", "＊": "*",
}  # fmt: skip
_KEPT_SYMBOLS: Final = frozenset("°©№§¶→⇒♀♂÷×±√∞≈≠≤≥<>=+|~^$€£¥₹₩₽₺₪₫₴₦฿₱₿¢%‰`´¨½¼¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞²³")
_DROPPED: Final = frozenset({"So", "Sk", "Cs", "Co", "Cn", "Cf", "Cc", "Me"})
_ODD: Final = re.compile(r"[^\x20-\x7e\n]")


def _in_known_characters(text: str) -> str:
    return _ODD.sub(lambda found: _known(found[0]), text.replace("\r\n", "\n"))


def _known(character: str) -> str:
    same = _SAME.get(character)
    if same is not None:
        return same
    if character in _KEPT_SYMBOLS:
        return character
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if "\ufe00" <= character <= "\ufe0f":  # how what stands before is to look
        return ""
    if category in ("Cf", "Me", "Cc"):
        return ""
    if category in _DROPPED:
        return " "
    if category == "Zs":
        return " "
    # Bold, wide and circled letters and digits are letters and digits.
    usual = unicodedata.normalize("NFKC", character)
    if category[0] == "N" and not usual.isascii():
        value = unicodedata.numeric(character, 0.5)
        return f" {value:.0f} " if value == int(value) else " "
    if category[0] in "LN" and len(usual) <= 4 and usual.isprintable():
        return usual
    return character


# Tags.

_TAG: Final = re.compile(
    r"<!--(?:(?!<!--).)*?-->"
    r"|</?([A-Za-z][\w:.\-]*)((?:\s+[\w:.\-]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'|[^\s\"'<>]+))*)\s*/?>",
    re.DOTALL,
)
_TIME: Final = re.compile(
    r"""time\s*=\s*["']?\s*(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})\s*(ms|s)""", re.IGNORECASE
)
_STRENGTH: Final = re.compile(r"""strength\s*=\s*["']?\s*([\w\-]+)""", re.IGNORECASE)
_STRENGTHS_MS: Final = {
    "none": 0,
    "x-weak": 100,
    "weak": 200,
    "medium": 400,
    "strong": 700,
    "x-strong": 1000,
}
_USUAL_MS: Final = 400
_LINES: Final = frozenset(
    [
        "p",
        "s",
        "br",
        "div",
        "li",
        "ul",
        "ol",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "tr",
        "table",
        "paragraph",
        "sentence",
        "speak",
    ]
)
_WORDS: Final = re.compile(r"""alias\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""", re.IGNORECASE)


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    pieces, done, hidden = [], 0, ""
    for found in _TAG.finditer(text):
        name = (found[1] or "").lower()
        if not hidden:
            pieces.append(text[done : found.start()])
        done = found.end()
        is_end = found[0].startswith("</")
        if hidden:
            if is_end and name == hidden:
                hidden = ""
        elif name == "break" or name == "pause":
            pieces.append(_pause(found[2] or ""))
        elif name in _LINES:
            pieces.append(_PARAGRAPH)
        elif name == "sub" and not is_end and (alias := _WORDS.search(found[2] or "")):
            pieces.append(alias[1] or alias[2] or "")
            # What it stands for is not said as well.
            hidden = "" if found[0].endswith("/>") else "sub"
    if not hidden:
        pieces.append(text[done:])
    return "".join(pieces)


def _pause(attributes: str) -> str:
    time = _TIME.search(attributes)
    if time:
        asked_ms = float(time[1]) * (1000 if time[2].lower() == "s" else 1)
    else:
        strength = _STRENGTH.search(attributes)
        asked_ms = _STRENGTHS_MS.get(strength[1].lower(), _USUAL_MS) if strength else _USUAL_MS
    lasts_ms = int(min(asked_ms, LONGEST_PAUSE_MS))
    return f" {PAUSE}{lasts_ms}{PAUSE_END} " if lasts_ms else " "


# Lines of Markdown.

_KEY_FOLLOWS: Final = re.compile(
    r"(?:and|or|key|keys|sign|signs|button|symbol|is|are|to|then|for|when|after|at|before|again)\b|[,.;:!?]"
)
_HEADING: Final = re.compile(r" {0,3}(#{1,6}) +(?=\S)")
_BULLET: Final = re.compile(r" {0,40}(?:[-*+–] +(?:\[[ xX]\] +)?)(?=[^\s*#])")
_NUMBERED: Final = re.compile(r" {0,40}(\d{1,3})[.)] +(?=[A-Za-z\"'(*_`])")
_QUOTED: Final = re.compile(r" {0,3}(?:> ?){1,8}")


def _without_line_marks(line: str) -> str:
    """A line without the sign of its kind; a list's or heading's line is a sentence of its own."""
    stripped = line.strip()
    if len(stripped) >= 3 and (set(stripped) <= set("-*_= ") or set(stripped) <= set("|-:+ ")):
        return ""
    if stripped.startswith(("```", "~~~")):
        return ""
    quoted = _QUOTED.match(line)
    if quoted:
        line = line[quoted.end() :]
    heading = _HEADING.match(line)
    if heading and not (len(heading[1]) == 1 and _KEY_FOLLOWS.match(line, heading.end())):
        line = line[heading.end() :].rstrip("# ")
        return _sentence(_counted(line) or line)
    bullet = _BULLET.match(line)
    if bullet and not (line.lstrip()[0] == "*" and _KEY_FOLLOWS.match(line, bullet.end())):
        return _sentence(line[bullet.end() :])
    counted = _counted(line)
    if counted:
        return _sentence(counted)
    if stripped.startswith("|") and stripped.endswith("|"):
        return _sentence(
            ", ".join(cell.strip() for cell in stripped.strip("|").split("|") if cell.strip())
        )
    return line


def _counted(line: str) -> str:
    """A line that begins with its number; empty if it does not."""
    numbered = _NUMBERED.match(line)
    return f"{numbered[1]}, {line[numbered.end() :]}" if numbered else ""


def _sentence(line: str) -> str:
    """A line that ends by itself."""
    line = line.strip()
    return f"\n{line}\n" if line else ""


def _joined(lines: list[str]) -> str:
    """Lines that go on in the next are joined to it; others end a sentence."""
    said: list[str] = []
    for line in lines:
        if (
            said
            and line.strip()
            and said[-1].strip()
            and line.strip()[0].islower()
            and not line.startswith("\n")
        ):
            said.append(" " if not said[-1].endswith("\n") else "")
        elif said:
            said.append("\n")
        said.append(line)
    return "".join(said)


# Marks inside lines. A mark's text ends before the next mark of its kind, so that nothing is looked at twice.

_LINK: Final = re.compile(
    r"!?\[([^\[\]\n]{0,500})\](?:\([^()\s\n]{0,1000}(?: +\"[^\"\n]{0,300}\")?\)|\[[^\[\]\n]{0,100}\])"
)
_NOTE: Final = re.compile(r"\[\^[^\[\]\n]{1,30}\]:?")
_AUTOLINK: Final = re.compile(
    r"<([^\s<>@:]{1,64}@[^\s<>@]{1,200}|(?:https?|mailto|tel):[^\s<>]{1,2000})>"
)
_STARS: Final = re.compile(r"(?<![\w*])\*{1,3}+(?![\s*])([^*\n]++)(?<!\s)\*{1,3}+(?![\w*])")
_STARS_INSIDE: Final = re.compile(r"\*{2,3}+(?![\s*])([^*\n]++)(?<!\s)\*{2,3}+")
_LOW_LINES: Final = re.compile(r"(?<![\w@./\-])_{1,3}+(?![\s_])([^_\n]++)(?<!\s)_{1,3}+(?![\w@])")
_STRUCK: Final = re.compile(r"~~(?![\s~])([^~\n]++)~~")
_EMOTICON: Final = re.compile(
    r"(?<!\S)(?:[:;=8][\-o']?[()DPpOo|/\\\]\[*3]|[xX]D|<3|\^_?\^|:'\()(?![^\s.,!?])"
)
_ESCAPED: Final = re.compile(r"\\([*_#`~>\[\]()+.!\-\\|])")


def _without_marks(text: str) -> str:
    text = _EMOTICON.sub("", text)
    if "[" in text:
        text = _NOTE.sub("", _LINK.sub(r"\1", text))
    if "<" in text:
        text = _AUTOLINK.sub(r" \1 ", text)
    if "*" in text:
        text = _STARS_INSIDE.sub(r"\1", _STARS.sub(_emphasised, text))
    if "_" in text:
        text = _LOW_LINES.sub(r"\1", text)
    if "~" in text:
        text = _STRUCK.sub(r"\1", text)
    return _ESCAPED.sub(r"\1", text).replace("`", "")


def _emphasised(found: re.Match[str]) -> str:
    """The words between two stars; stars around digits alone are keys of a telephone."""
    return found[1] if any(map(str.isalpha, found[1])) else found[0]
