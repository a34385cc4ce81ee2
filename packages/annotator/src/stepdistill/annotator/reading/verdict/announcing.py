"""Where an answer announces its label, as patterns: `the label is`, `I would classify this as`,
`It is`, `答えは`; and what may follow the label there.
"""

import re

from stepdistill.annotator.reading.verdict.headings import COLON, GOOD_WORDS, IS_WORDS, LABEL_WORDS
from stepdistill.annotator.reading.verdict.names import UNSPACED
from stepdistill.annotator.reading.verdict.wrapping import CLOSING

# Scripts have no case: with `(?-i:)` thousands of their signs need not be looked up in both.
_CLOSED = rf"[{re.escape(CLOSING)}]"
_TEXTS = (
    "text|sentence|review|claim|statement|example|one|question|message|comment|post|row|input"
    "|passage|query|request|ticket|tweet|article|document"
)
# Between the noun and its verb: `label for this text is`, `respuesta correcta es`.
_OF_WHAT = (
    rf"(?:[\s*_\"'`]{{1,3}}(?:{GOOD_WORDS}|(?:for|of|to) (?:this|the|that)(?: \w+)?))?"
    r"[\s*_\"'`]{0,3}"
)
ANNOUNCED = re.compile(
    # `The correct label for this text is`, `Die Antwort lautet:`, `答えは`, `Label =`
    rf"(?<!(?-i:[^\W{UNSPACED}]))(?:{LABEL_WORDS}){_OF_WHAT}"
    rf"(?:(?:{IS_WORDS})(?-i:(?<=[{UNSPACED}])|(?![^\W\d_{UNSPACED}]))\s*{COLON}?"
    rf"|{COLON}|=|\u2192|->|=>|\s[-\u2013\u2014](?=\s))"
    # `I choose`, `go with`
    r"|\b(?:choose|select|pick|go with)[:,]?(?=\s)"
    # `I would say`, `I'd answer with`
    r"|\bI(?:['\u2019]d| would| will| must| have to)? (?:say|answer|reply|guess|vote|opt|settle)"
    r"(?: with| for| on)?[:,]?(?=\s)"
    # `I would label this text as`, `we classify it as`, `it should be tagged`
    r"|\b(?:label(?:l?ed)?|classif(?:y|ied)|categori[sz]ed?|tag(?:ged)?|mark(?:ed)?|rated?"
    r"|annotated?|assign(?:ed)?|identif(?:y|ied)|call(?:ed)?|describe)"
    rf"(?: (?:this|it|that|the)(?: (?:\w+ )?(?:{_TEXTS}))?)?(?: (?:as|to|under|into|with|the))*"
    r"(?: (?:label|class|category|option))?[:,]?(?=\s)",
    re.IGNORECASE,
)
# The same for RE2, which knows no lookaround: where it may begin.
PERHAPS_ANNOUNCED = (
    rf"(?:{LABEL_WORDS}){_OF_WHAT}"
    rf"(?:(?:{IS_WORDS})|[:\x{{ff1a}}=\x{{2192}}]|->|=>|\s[-\x{{2013}}\x{{2014}}]\s)"
    r"|\b(?:label|classif|categori|tag|mark|rate|annotate|assign|identif|call|describe|choose"
    r"|select|pick|go with|I(?:['\x{2019}]d| would| will| must| have to)?"
    r" (?:say|answer|reply|guess|vote|opt|settle))"
)
IT_IS = re.compile(
    # at a sentence's opening: `It is`, `So this text is clearly`, `Hence`
    r"(?:so|thus|therefore|hence|overall|in conclusion|conclusion)[,:]?(?=\s)"
    r"(?! (?:it|this|that|the|i)\b)|(?:(?:so|thus|therefore|hence|overall|in conclusion|clearly|yes"
    r"|no),? )?"
    rf"(?:it|this|that|(?:the|this) (?:{_TEXTS}))(?:'s| is| was| would be| must be| should be)"
    r"(?: (?:clearly|definitely|certainly|therefore|thus|best|about))?"
    r"(?: (?:labell?ed|classified)(?: as)?)?(?: an?| the)?(?=\s)",
    re.IGNORECASE,
)
CONCLUDES = re.compile(
    r"(?:so|thus|therefore|hence|consequently|finally|in conclusion)\b,?", re.IGNORECASE
)
# Behind a label that is meant: the end, a stop, or words that cannot be part of a longer name.
FOLLOWS = re.compile(
    rf"(?:{_CLOSED}|[\s\\])*(?:$|[.,;:!?\n\u2013\u2014(\[{{\u3002\uff0c\uff01\uff1b\uff1a\u3001]"
    rf"|(?-i:[\u0964\u060c\u061f{UNSPACED}])|-\s"
    r"|(?:because|since|as|due|given|based|with|for|in|on|here|rather|not|so|which|when|from|by|if"
    r"|is|and (?:the|it|not|its|this|so|that|is|there)|but|label|class|category|sentiment|option"
    r"|answer|weil|da|denn|parce|car|porque|perch[eé]|pois|потому|так|لأن)(?![^\W_]))",
    re.IGNORECASE,
)
STRANGER = re.compile(  # `the answer is E.`, where there is no E
    rf"(?:{_CLOSED}|[ \t(\[{{$*`\"'])*(?:[A-Za-z]|\d{{1,3}}){_CLOSED}*(?=\.(?:\s|\Z)|\n|\s*\Z)"
)
ALTERNATIVE = re.compile(  # `positive or`, `positive/`
    rf"(?:{_CLOSED}|\s)*(?:,\s*or\b|or\b|and\b|[/|&,]|oder\b|ou\b|o\b|und\b|et\b|y\b|或|または)\s*"
)
NOT_THE_OTHER = re.compile(  # `positive, not`
    rf"{_CLOSED}*,? (?:and )?(?:not|rather than|instead of)(?: an?| the)?(?=\s)"
)
NEGATED = re.compile(  # right before an announcement: `we cannot`, `it would be wrong to`
    r"(?:n't|n\u2019t|\b(?:not|never|cannot|whether|if|rather than|instead of|could|might|may|only"
    r"|unable|unjustified|wrong|incorrect|impossible|hard|difficult|neither|unless|without|unfair"
    r"|unreasonable))\b[^.,;\n]{0,40}\Z",
    re.IGNORECASE,
)
PARTED = re.compile(  # behind a label that opens an answer: `positive: `, `positive - `
    rf"(?:{_CLOSED}|[.!])*(?:\s?{COLON}(?=\s)|\s[\u2013\u2014-](?=\s)|\s?\n|(?<=\.)\s)"
    rf"(?:{_CLOSED}|\s)*"
)
LISTED = re.compile(r"\s*(?:[-*\u2022]|\(?(?:[A-Za-z]|\d{1,2})[.):])\s")
THE_CLAIM = re.compile(r"(?:The|Based on|It|This) (?=[a-z])")
SENTENCE_GOES_ON = re.compile(r"\s+\w")  # `B. Oslo is in Norway`
CLOSINGS = re.compile(rf"{_CLOSED}+")
