"""What a resource is called, in each place where it has a name."""

import builtins
import keyword
import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-z]+(?:_[a-z]+)*")
_MOST_LETTERS = 30
_UNCERTAIN = ("ses", "zes", "ches", "oes", "ves")
_ES = ("sses", "xes", "shes")


class Refused(Exception):
    """Nothing was written, for the reason that is said."""


@dataclass(frozen=True, slots=True)
class Words:
    """A resource's plural and its singular, as code has them: `price_lists` and `price_list`."""

    many: str
    one: str

    def placeholders(self) -> dict[str, str]:
        """Return what each placeholder of a template stands for."""
        article = "an" if self.one[0] in "aeiou" else "a"
        one_words, many_words = self.one.replace("_", " "), self.many.replace("_", " ")
        return {
            "many": self.many,
            "one": self.one,
            "a_one": f"{article}_{self.one}",
            "Many": _camel(self.many),
            "One": _camel(self.one),
            "MANY": self.many.upper(),
            "ONE": self.one.upper(),
            "one_words": one_words,
            "many_words": many_words,
            "a_one_words": f"{article} {one_words}",
            "A_one_words": f"{article} {one_words}".capitalize(),
            "Many_words": many_words.capitalize(),
            "path": self.many.replace("_", "-"),
        }

    def identifiers(self) -> set[str]:
        """Return the names that the code of the resource gives to what it makes."""
        one, many = _camel(self.one), _camel(self.many)
        made = {one, f"{one}Create", f"{one}Patch", f"{one}Reads", f"{one}Repository", f"{one}Service"}
        return made | {self.one, self.many, many, self.one.upper(), self.many.upper(), f"{self.one.upper()}_BY_ID"}


def words_of(many: str, one: str | None = None) -> Words:
    """Return the words of a resource by its plural; the singular is found by rule unless it is given.

    Raises:
        Refused: one of them cannot be a name in the code, or the singular cannot be told.
    """
    _demand_name(many)
    one = _singular_of(many) if one is None else one
    _demand_name(one)
    if one == many:
        raise Refused(f"Singular and plural of `{many}` must differ.")
    if one.startswith("test"):
        raise Refused(f"pytest would take what makes a `{one}` for a test; say another singular with --one.")
    for word in (one, many):
        if keyword.iskeyword(word):
            raise Refused(f"`{word}` is a keyword of Python; say another singular with --one, or take another name.")
        if word in dir(builtins):
            raise Refused(f"`{word}` is a builtin of Python; say another singular with --one, or take another name.")
    return Words(many, one)


def _demand_name(word: str) -> None:
    if not _NAME.fullmatch(word) or len(word) > _MOST_LETTERS:
        raise Refused(
            f"`{word}` cannot be a name: it takes up to {_MOST_LETTERS} small letters a to z,"
            " with a single `_` between two words."
        )


def _singular_of(many: str) -> str:
    if many.endswith(_ES):
        return many[:-2]
    if many.endswith(_UNCERTAIN) or many.endswith("ss") or not many.endswith("s"):
        raise Refused(
            f"The name is a plural, as `items` is, and the singular of `{many}` cannot be told: say it with --one."
        )
    return many[:-3] + "y" if many.endswith("ies") else many[:-1]


def _camel(word: str) -> str:
    return "".join(part.capitalize() for part in word.split("_"))
