"""What a statement of SQL does, to which table: `SELECT generations`, and nothing else of its text.

The text is read up to its table, never parsed whole. Literals and comments are passed over. What
leaves this module has one of two forms: an operation of a closed list, a table's plain name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_MOST = 16_384
_KEPT = 256
_PARTS = 3

_VERBS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
_VERBS_OR_WITH = _VERBS | {"WITH"}
_SCHEMA = frozenset({"ALTER", "CREATE", "DROP", "LOCK", "REFRESH", "TRUNCATE"})
# What has a query in it, or is one.
_READ = _VERBS_OR_WITH | {"EXPLAIN", "DECLARE", "COPY"}
_OTHERS = frozenset(
    {
        *(
            "ABORT",
            "ANALYSE",
            "ANALYZE",
            "ATTACH",
            "BEGIN",
            "CALL",
            "CHECKPOINT",
            "CLOSE",
            "CLUSTER",
        ),
        *("COMMENT", "COMMIT", "DEALLOCATE", "DESCRIBE", "DETACH", "DISCARD", "DO", "END", "EXEC"),
        *("EXECUTE", "FETCH", "GRANT", "IMPORT", "KILL", "LISTEN", "LOAD", "MOVE", "NOTIFY"),
        *("OPTIMIZE", "PRAGMA", "PREPARE", "REASSIGN", "REINDEX", "RELEASE", "RENAME", "RESET"),
        *(
            "REVOKE",
            "ROLLBACK",
            "SAVEPOINT",
            "SECURITY",
            "SET",
            "SHOW",
            "START",
            "TABLE",
            "UNLISTEN",
        ),
        *("UNLOCK", "USE", "VACUUM", "VALUES"),
    }
)
_OPERATIONS = _READ | _SCHEMA | _OTHERS
# What may stand between a word that leads to a table and the table.
_BETWEEN = frozenset({"ONLY", "LATERAL", "IF", "NOT", "EXISTS", "IGNORE"})
_NO_TABLE = frozenset({"AS", "DEFAULT", "ON", "ROWS", "SELECT", "SET", "USING", "VALUES", "WHERE"})
_WHERE_TO = {
    "FROM": frozenset({"SELECT", "DELETE"}),
    "JOIN": frozenset({"SELECT", "DELETE", "UPDATE"}),
    "INTO": frozenset({"INSERT", "REPLACE", "MERGE"}),
    "UPDATE": frozenset({"UPDATE"}),
}

_TOKEN = re.compile(
    r"""
    (?P<word> (?![eEbBnNxX]')[^\W\d][\w$]* )
  | (?P<sign> [().,;] )
  | (?P<skip> --[^\n]* | /\*.*?(?:\*/|\Z) | ::?\w+ | @\w+ | %\(\w*\)s | \$\d+ | \d[\w.]* )
  | (?P<string> [eEbBnNxX]?'[^']*(?:''[^']*)*(?:'|\Z)
      | (?P<dollars>\$(?:[^\W\d]\w*)?\$).*?(?:(?P=dollars)|\Z) )
  | (?P<quoted> "[^"]*(?:""[^"]*)*(?:"|\Z) | `[^`]*(?:`|\Z) | \[[^\W\d][\w\ $]*\] )
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"[^\W\d][\w$]{0,62}")


class Outline(NamedTuple):
    """An operation and a table; each empty where it is not known."""

    operation: str
    table: str

    def __str__(self) -> str:
        return " ".join(filter(None, self))


def outline(statement: str) -> Outline:
    """The outline of a statement; the latest are kept, as a host says the same again and again."""
    return _outline(statement if len(statement) <= _MOST else statement[:_MOST])


def forget() -> None:
    """Forget the statements that were seen (they are the host's)."""
    _outline.cache_clear()


@lru_cache(maxsize=_KEPT)
def _outline(statement: str) -> Outline:
    tokens = _Tokens(statement)
    while tokens.text == "(":
        tokens.next()
    first = tokens.word
    if first not in _OPERATIONS:
        return Outline("", "")
    if first in _SCHEMA:
        return Outline(first, _of_schema(tokens))
    return _of_query(first, tokens) if first in _READ else Outline(first, "")


class _Tokens:
    """A statement's tokens, one at a time; literals are tokens without a text.

    Attributes:
        word: the token in capitals where it is an unquoted word.
        before: the word or sign before it.
    """

    def __init__(self, statement: str) -> None:
        self._found = _TOKEN.finditer(statement)
        self.kind = self.text = self.word = self.before = ""
        self.next()

    def next(self) -> None:
        self.before = self.word or self.text
        self.kind = self.text = self.word = ""
        for match in self._found:
            kind = match.lastgroup or ""
            if kind == "skip":
                continue
            if kind == "string" and "\\'" in match.group():
                self._found = iter(())  # does the literal end here? Databases do not agree
                return
            self.kind = kind
            if kind != "string":
                self.text = match.group()
            if kind == "word":
                self.word = self.text.upper()
            return

    def name(self) -> str:
        """A table's name, of up to three parts; empty where there is none of a plain form."""
        parts: list[str] = []
        while self.kind in ("word", "quoted") and (parts or self.word not in _NO_TABLE):
            parts.append(self.text if self.word else self.text[1:-1])
            self.next()
            if self.text != ".":
                break
            self.next()
        plain = 0 < len(parts) <= _PARTS and all(map(_PLAIN.fullmatch, parts))
        return ".".join(parts) if plain else ""

    def pass_over(self, words: frozenset[str]) -> None:
        while self.word in words:
            self.next()


def _of_schema(tokens: _Tokens) -> str:
    """The table of CREATE TABLE and its like, and the one that an index is made on."""
    first = tokens.word
    tokens.next()
    if first in ("TRUNCATE", "LOCK"):
        tokens.pass_over(_BETWEEN | {"TABLE"})
        return tokens.name()
    index = False
    while tokens.kind in ("word", "quoted"):
        index = index or tokens.word == "INDEX"
        if tokens.word in ("TABLE", "VIEW") or (index and tokens.word == "ON"):
            tokens.next()
            tokens.pass_over(_BETWEEN)
            return tokens.name()
        tokens.next()
    return ""


def _of_query(first: str, tokens: _Tokens) -> Outline:
    """The first table of the statement itself; else, of what it is made of."""
    verbs = [""]  # what each open parenthesis does, the statement itself being the first
    within, made_here = "", set[str]()  # the first table further in; names of WITH

    def done(table: str) -> Outline:
        return Outline(verbs[0] or first if first == "WITH" else first, table)

    if first == "COPY":
        tokens.next()
        if tokens.text != "(":
            return done(tokens.name())
    while tokens.kind:
        word, before = tokens.word if tokens.before != "." else "", tokens.before
        if tokens.text == ";":
            break
        if tokens.text == "(":
            verbs.append("")
        elif tokens.text == ")" and len(verbs) > 1:
            verbs.pop()
        elif word in _VERBS_OR_WITH and verbs[-1] in ("", "WITH"):
            verbs[-1] = word
        elif verbs[-1] == "WITH" and before in ("WITH", "RECURSIVE", ",") and word != "RECURSIVE":
            made_here.add(tokens.text.strip('"').lower())
        if verbs[-1] not in _WHERE_TO.get(word, ()) or before in ("DISTINCT", "FOR", "DO", "KEY"):
            tokens.next()
            continue
        tokens.next()
        if tokens.word == "OR":  # UPDATE OR IGNORE …
            tokens.next()
            tokens.next()
        tokens.pass_over(_BETWEEN)
        table = tokens.name()
        is_function = word in ("FROM", "JOIN") and tokens.text == "("
        if not table or is_function or table.lower() in made_here:
            continue
        if len(verbs) == 1:
            return done(table)
        within = within or table
    return done(within)
