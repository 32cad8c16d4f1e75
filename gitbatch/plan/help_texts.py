"""The help of every diagnostic of a plan, in the languages that plans have: what to do, in one line.

One table (with `project/help_texts.py`), so that no text lacks a language: an `Advice` is both texts. A diagnostic has the German one in a plan whose
work section has a German title, else the English one. Placeholders are in braces; `fill` replaces them.
"""

from enum import StrEnum
from typing import Self

from msgspec import Struct


class Language(StrEnum):
    """The language of a project's plan and of what is written for it."""

    EN = "en"
    DE = "de"


class Advice(Struct, frozen=True):
    """A help text in each language."""

    english: str
    german: str

    @classmethod
    def in_english(cls, text: str) -> Self:
        """Returns a text about a file that has no language of its own, such as the configuration."""
        return cls(text, text)

    def fill(self, **values: "str | Advice") -> "Advice":
        """Returns the texts with their placeholders replaced, by a text or by one for each language."""
        english = {name: value if isinstance(value, str) else value.english for name, value in values.items()}
        german = {
            name: _quote_in_german(value) if isinstance(value, str) else value.german
            for name, value in values.items()
        }
        return Advice(self.english.format_map(english), self.german.format_map(german))

    def in_language(self, language: Language) -> str:
        """Returns the text in a language."""
        return self.german if language is Language.DE else self.english


def _quote_in_german(text: str) -> str:
    """Returns a quoted text in the quotation marks of the texts around it."""
    return f"„{text[1:-1]}“" if text.startswith("“") and text.endswith("”") else text


# The file (GB001 to GB003)
SAVE_AS_UTF8 = Advice("save the file as UTF-8", "speichere die Datei als UTF-8")
SPLIT_PLAN = Advice(
    "split the plan: each phase has its own task.md", "teile den Plan: jede Phase hat ihre eigene task.md"
)
BREAK_LINE = Advice("break the line", "brich die Zeile um")
REMOVE_CHARACTER = Advice("remove the character", "entferne das Zeichen")

# Sections and groups (GB100 to GB104)
ADD_WORK_SECTION = Advice(
    """\
add one, with your own groups and items:

## {title}

### Group name
- [ ] First piece of work → DoD: #1
- [ ] Second piece of work, at the same time → DoD: #2""",
    """\
füge einen hinzu, mit eigenen Gruppen und Punkten:

## {title}

### Name der Gruppe
- [ ] Erster Punkt → DoD: #1
- [ ] Zweiter Punkt, zur selben Zeit → DoD: #2""",
)
ADD_GROUP_HEADING = Advice(
    "put a heading above the items:\n\n{marks} Group name\n{item}",
    "setze eine Überschrift über die Punkte:\n\n{marks} Name der Gruppe\n{item}",
)
ADD_GROUPS = Advice(
    "add groups with check boxes:\n\n{marks} Group name\n- [ ] First piece of work",
    "füge Gruppen mit Kästchen hinzu:\n\n{marks} Name der Gruppe\n- [ ] Erster Punkt",
)
MEANT_TITLE = Advice(
    "did you mean {title}? Call it so, or allow its title in gitbatch.toml:\n\n[titles]\n{setting}",
    "ist {title} gemeint? Nenne ihn so, oder erlaube seinen Titel in gitbatch.toml:\n\n[titles]\n{setting}",
)
ONE_SECTION = Advice(
    "make one section of the two, or rename one", "mache einen Abschnitt aus beiden, oder benenne einen um"
)
SAME_LEVEL = Advice(
    "give every group the same number of “#”: {marks}", "gib jeder Gruppe gleich viele „#“: {marks}"
)

# Boxes (GB201 to GB203)
WRITE_BOX = Advice(
    "write “- [ ]” for an open item or “- [x]” for a done one; text in backticks is not a box",
    "schreibe „- [ ]“ für einen offenen Punkt oder „- [x]“ für einen erledigten; Text in Backticks ist kein Kästchen",
)
WRITE_BOX_IN_LIST = Advice(
    "{box}; a list needs a blank line above it", "{box}; eine Liste braucht eine Leerzeile über sich"
).fill(box=WRITE_BOX)
UNQUOTE_BOX = Advice(
    "take it out of the quote if it is work", "nimm es aus dem Zitat heraus, falls es Arbeit ist"
)
INDENT_LESS = Advice("indent it by at most three spaces", "rücke es um höchstens drei Leerzeichen ein")
BLANK_ABOVE_LIST = Advice("put a blank line above the list", "setze eine Leerzeile über die Liste")
BLANK_ABOVE_UNDERLINE = Advice(
    "put a blank line above the line of “=” or “-”", "setze eine Leerzeile über die Zeile aus „=“ oder „-“"
)
NEST_LESS = Advice("nest less deeply", "verschachtele weniger tief")
IN_PROGRESS_BOX = Advice(
    "“[-]” (in progress, for other tools) is not known: write “- [ ]”",
    "„[-]“ (anderswo: in Arbeit) ist nicht bekannt: schreibe „- [ ]“",
)
DROPPED_BOX = Advice(
    "“[~]” (in progress or dropped, for other tools) is not known: write “- [ ]”, or “- [x]” if it is done",
    "„[~]“ (anderswo: in Arbeit oder gestrichen) ist nicht bekannt: schreibe „- [ ]“, oder „- [x]“, wenn es getan ist",
)
OPTIONAL_BOX = Advice(
    "“[ ]*” (an optional task, for other tools) is not known: write “- [ ]”, or leave the item out",
    "„[ ]*“ (anderswo: freiwillig) ist nicht bekannt: schreibe „- [ ]“, oder lass den Punkt weg",
)
SAY_WHAT_TO_DO = Advice(
    "say what is to be done, or remove the box", "schreibe, was zu tun ist, oder entferne das Kästchen"
)
SAY_WHAT_MUST_HOLD = Advice(
    "write what must hold, or remove it", "schreibe, was gelten muss, oder entferne ihn"
)

# Clauses (GB210 to GB215)
TO_FIRST_PARAGRAPH = Advice(
    "put the clause into the item's first paragraph; text that is meant literally goes in backticks",
    "setze die Angabe in den ersten Absatz des Punktes; wörtlich Gemeintes gehört in Backticks",
)
USE_KNOWN_ARROW = Advice("write {arrow} or {ascii}", "schreibe {arrow} oder {ascii}")
REMOVE_BACKTICK = Advice(
    "remove the stray backtick before it, or put text with a backtick between double backticks",
    "entferne den einzelnen Backtick davor, oder setze Text mit einem Backtick in doppelte Backticks",
)
MEANT_KEY = Advice(
    "did you mean {key}? Text that is meant literally goes in backticks",
    "ist {key} gemeint? Wörtlich Gemeintes gehört in Backticks",
)
CLOSE_BRACKET = Advice("write “)” behind the last value", "schreibe „)“ hinter den letzten Wert")
KEEP_ONE = Advice("keep one of the two", "behalte eines von beiden")
KEEP_ONE_VALUE = Advice("keep one of the values", "behalte einen der Werte")
JOIN_VALUES = Advice(
    "put the values into one clause, with commas", "setze die Werte in eine Angabe, mit Kommas dazwischen"
)
WRITE_VALUE = Advice(
    "write a value behind the colon, or remove the clause",
    "schreibe einen Wert hinter den Doppelpunkt, oder entferne die Angabe",
)
OWN_BRACKET = Advice(
    "give {key} a bracket or an arrow of its own", "gib {key} eine eigene Klammer oder einen eigenen Pfeil"
)
ID_FORM = Advice(
    "an id has letters, digits, “.”, “-” and “_”", "eine Id hat Buchstaben, Ziffern, „.“, „-“ und „_“"
)
ONE_AGENT = Advice("write the name of one agent", "schreibe den Namen eines Agenten")
QUOTE_SPACES = Advice(
    "put a path with spaces in backticks, and other text before the clause",
    "setze einen Pfad mit Leerzeichen in Backticks, und anderen Text vor die Angabe",
)
QUOTE_CHARACTERS = Advice(
    "write the path alone, without quotation marks, emphasis, wildcards or placeholders; if it is meant so, in backticks",
    "schreibe nur den Pfad, ohne Anführungszeichen, Hervorhebung, Platzhalter; ist er so gemeint, dann in Backticks",
)
WRITE_ADDED = Advice(
    "write a file behind the “+”: +notes.md", "schreibe eine Datei hinter das „+“: +notizen.md"
)
PLUS_ON_ALL = Advice(
    "write “+” on all of them, to read them in addition, or on none, to read nothing else; "
    "a “+” that is part of a name goes in backticks",
    "schreibe „+“ vor alle, um sie zusätzlich zu lesen, oder vor keine, um nichts anderes zu lesen; "
    "ein „+“, das zum Namen gehört, gehört in Backticks",
)
OTHER_ID = Advice("give one of the two another id", "gib einem von beiden eine andere Id")

# The Definition of Done (GB213, GB214)
COUNTED_IN_ORDER = Advice(
    "entries are counted from 1 in the order of the file",
    "Einträge werden ab 1 in der Reihenfolge der Datei gezählt",
)
LOWER_FIRST = Advice("put the lower number first", "setze die kleinere Zahl an den Anfang")
DOD_FORM = Advice(
    "write numbers of entries: #1, #3 or #1-#3", "schreibe Nummern von Einträgen: #1, #3 oder #1-#3"
)
ADD_DOD = Advice(
    "add a section “Definition of Done” with boxes",
    "füge einen Abschnitt „Definition of Done“ mit Kästchen hinzu",
)
ONLY_FIRST_DOD = Advice("there is only #1", "es gibt nur #1")
NAME_DOD = Advice("name one from #1 to #{last}", "nenne einen von #1 bis #{last}")

# Outputs (GB220 to GB223)
SPLIT_ITEM = Advice("split the item, one for each file", "teile den Punkt, einer je Datei")
DECLARE_OUTPUT = Advice(
    "declare the path: “→ Output: path/of/the/file.md”", "gib den Pfad an: „→ Ausgabe: pfad/der/datei.md“"
)
OTHER_PATH = Advice("choose another path", "wähle einen anderen Pfad")
CONTRIBUTE = Advice(
    "return contributions to {artifact} in the reply, and give the item an output of its own",
    "liefere Beiträge zu {artifact} in der Antwort, und gib dem Punkt eine eigene Ausgabe",
)
OTHER_OUTPUT_OR_ID = Advice(
    "declare another path: “→ Output: path/of/the/file.md”, or give the item an id",
    "gib einen anderen Pfad an: „→ Ausgabe: pfad/der/datei.md“, oder gib dem Punkt eine Id",
)

# Items that wait for others (GB230, GB231)
NAME_ONE_OF = Advice("name one of them: {names}", "nenne einen davon: {names}")
WAIT_FOR_EARLIER = Advice(
    "items wait for items of their own or an earlier group, groups for items of earlier groups",
    "Punkte warten auf Punkte ihrer eigenen oder einer früheren Gruppe, Gruppen auf Punkte früherer Gruppen",
)
NAME_ITEM = Advice(
    "name an item by its id or by its output path",
    "nenne einen Punkt mit seiner Id oder dem Pfad seiner Ausgabe",
)
BREAK_CYCLE = Advice("take one “after” out of the circle", "nimm ein „after“ aus dem Kreis heraus")

# Hints (GB301 to GB303, and their values)
REMOVE_HINT = Advice("remove the hint", "entferne den Hinweis")
CLOSE_COMMENT = Advice(
    "write “-->” where it ends; as it is, it hides everything below it",
    "schreibe „-->“ an sein Ende; so verbirgt er alles unter sich",
)
HINT_ALONE = Advice("write {hint}, or the hint alone", "schreibe {hint}, oder den Hinweis allein")
ONE_COMMENT_EACH = Advice("write one comment for each hint", "schreibe einen Kommentar je Hinweis")
MEANT_HINT = Advice("did you mean {name}?", "ist {name} gemeint?")
MEANT_HINT_IDLE = Advice(
    "did you mean {name}? The comment has no effect as it is",
    "ist {name} gemeint? So ist der Kommentar ohne Wirkung",
)
KNOWN_HINTS = Advice("there are {names}", "es gibt {names}")
HINT_VALUE = Advice("write {hint} with {wanted}", "schreibe {hint} mit {wanted}")
NO_HINT_VALUE = Advice("it takes no value", "er hat keinen Wert")
NUMBER_FROM_1 = Advice("a number from 1", "einer Zahl ab 1")
NUMBER_FROM_0 = Advice("a number from 0", "einer Zahl ab 0")
SOME_TIME = Advice("a time like {examples}", "einer Dauer wie {german}")
SOME_ITEMS = Advice(
    "ids or output paths of items, with commas between them",
    "Ids oder Ausgabepfaden von Punkten, mit Kommas dazwischen",
)
SOME_AGENT = Advice("the name of an agent", "dem Namen eines Agenten")
SOME_PATH = Advice(
    "a path, in backticks if it has a space", "einem Pfad, in Backticks, wenn er ein Leerzeichen hat"
)
SOME_NAMES = Advice("names with commas between them, or none", "Namen mit Kommas dazwischen, oder none")
WRITE_CHECKS = Advice("write “→ Check: links, style”", "schreibe „→ Prüfung: links, style“")
ONLY_FOR_GROUP = Advice(
    "it is for a group: put it between its heading and its first item",
    "er gilt einer Gruppe: setze ihn zwischen ihre Überschrift und ihren ersten Punkt",
)
HINT_FOR_GROUP = Advice(
    "for the group, put it between its heading and its first item; to run an item alone, say sequential",
    "für die Gruppe setze ihn zwischen ihre Überschrift und ihren ersten Punkt; "
    "damit ein Punkt allein läuft, schreibe sequential",
)
PLACE_HINT = Advice(
    "put it into an item's text or indent it below the item; "
    "for a group, put it between its heading and its first item",
    "setze ihn in den Text eines Punktes oder eingerückt unter den Punkt; "
    "für eine Gruppe zwischen ihre Überschrift und ihren ersten Punkt",
)

# Words of other tools (GB304)
WRITE_AFTER = Advice(
    "write “→ After: ID” for an item of the same group; groups already run one after another",
    "schreibe „→ Nach: ID“ für einen Punkt derselben Gruppe; Gruppen laufen ohnehin nacheinander",
)
WRITE_OUTPUT = Advice("write “→ Output: path/of/the/file.md”", "schreibe „→ Ausgabe: pfad/der/datei.md“")
WRITE_CONTEXT = Advice("write “(context: file.md, other.md)”", "schreibe „(Kontext: datei.md, andere.md)“")
WRITE_DOD = Advice("write “→ DoD: #1”", "schreibe „→ DoD: #1“")
WRITE_AGENT = Advice("write “→ Agent: name”", "schreibe „→ Agent: name“")
WRITE_RETRIES = Advice("write “<!-- retries: 2 -->”", "schreibe „<!-- retries: 2 -->“")
DROP_PARALLEL = Advice(
    "remove it: the items of a group run at the same time unless a hint says otherwise",
    "entferne es: die Punkte einer Gruppe laufen gleichzeitig, wenn kein Hinweis etwas anderes sagt",
)
