"""Takes out of a program what only its readers in the repository need: user data has 16 KiB for everything."""

import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from keyword import iskeyword
from tokenize import TokenInfo


def slim_python(source: str) -> str:
    """Return the same program without comments of whole lines, docstrings, annotations and blank lines.

    Cuts lines, so that the result is the same byte for byte on every Python. Reads tokens, not a syntax tree: Pulumi
    has threads, and `ast.parse` of Python 3.11 fails at times beside them
    (https://github.com/python/cpython/issues/106905). Annotations are taken out where they are on one line; no default
    of a parameter may be a lambda.
    """
    lines = source.splitlines()
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in _UNREAD]
    # From right to left: what is taken out moves only what has been done.
    for (line, start), (last, end) in sorted([*_annotations(tokens), *_of_variables(tokens)], reverse=True):
        if line == last:
            lines[line - 1] = lines[line - 1][:start] + lines[line - 1][end:]
    for statement, alone in _docstrings(tokens):
        (first, column), (last, _) = statement.start, statement.end
        # A body needs a statement: the text goes, the line stays.
        lines[first - 1 : last] = [lines[first - 1][:column] + "pass" * alone] + [""] * (last - first)
    return slim_shell("\n".join(line for line in lines if line != "from typing import Any"))


_UNREAD = {tokenize.COMMENT, tokenize.NL}
_BEGINS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
_Span = tuple[tuple[int, int], tuple[int, int]]


def _annotations(tokens: Sequence[TokenInfo]) -> Iterator[_Span]:
    """Yield start and end (line, column) of what annotates parameters and results of functions."""
    is_signature, depth, start, ends = False, 0, None, set[tuple[int, str]]()
    for before, token in pairwise((tokens[0], *tokens)):
        text = token.string
        if text == "def":
            is_signature, depth = True, 0
        if not is_signature or token.type != tokenize.OP:
            continue
        if start and (depth, text) in ends:
            yield start, before.end
            start = None
        elif (depth, text) in _ANNOTATION_ENDS:
            start, ends = before.end, _ANNOTATION_ENDS[depth, text]
        is_signature = (depth, text) != (0, ":")
        depth += (text in "([{") - (text in ")]}")


_ANNOTATION_ENDS = {(1, ":"): {(1, ","), (1, "="), (1, ")")}, (0, "->"): {(0, ":")}}
"""Depth in parentheses and operator that begin an annotation -> those that end it."""


def _of_variables(tokens: Sequence[TokenInfo]) -> Iterator[_Span]:
    """Yield start and end (line, column) of what annotates a variable or attribute where it gets its value."""
    for starts, of in groupby(tokens, lambda token: token.type in _BEGINS):
        statement = list(of)
        words = [token.string for token in statement]
        if starts or not {":", "="} <= set(words) or iskeyword(words[0]):
            continue
        colon, equals = words.index(":"), words.index("=")
        if colon < equals and re.fullmatch(r"[a-z_]\w*(\.\w+)*", "".join(words[:colon]), re.I):
            yield statement[colon - 1].end, statement[equals - 1].end


def _docstrings(tokens: Sequence[TokenInfo]) -> Iterator[tuple[TokenInfo, bool]]:
    """Yield each statement that is but a string, and whether it is the whole body of what it is in."""
    for at, token in enumerate(tokens):
        before = tokens[at - 1].type if at else tokenize.NEWLINE
        if token.type == tokenize.STRING and before in _BEGINS and tokens[at + 1].type == tokenize.NEWLINE:
            yield token, before == tokenize.INDENT and tokens[at + 2].type == tokenize.DEDENT


def slim_shell(source: str) -> str:
    """Return a script or unit without blank lines and lines of comment only; it must not have here-documents."""
    first, *lines = source.splitlines()
    kept = [line for line in lines if line.strip() and line.lstrip()[0] != "#"]
    return "".join(f"{line}\n" for line in ([first] if first.startswith("#!") or first[:1] not in "#" else []) + kept)
