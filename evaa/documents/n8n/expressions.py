"""n8n's expressions, as far as one can judge them without running JavaScript.

A parameter that begins with `=` is a template: what stands between `{{` and the next `}}` is JavaScript. The code is
cut into tokens; looked for are strings and brackets that do not close, operators that lack a side, values that follow
each other with nothing between them, and the names of other nodes. What passes here may still be wrong; what is
reported is.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

Kind = Literal["word", "keyword", "number", "string", "template", "regex", "operator", "open", "close", "sign"]

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      |(?P<number>\.?\d[\w.]*)
      |(?P<word>[^\W\d][\w$]*|\$[\w$]*|\#\w+)
      |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      |(?P<operator>\?\.(?!\d)|=>|\.\.\.|\+\+|--|&&=?|\|\|=?|\?\?=?|[=!]==?|\*\*=?|>>>?=?|<<=?|[<>+*/%&|^-]=?|[=.?!~])
      |(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<sign>[,;:@])""",
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*")
_KEYWORDS = frozenset({
    "typeof", "new", "void", "delete", "in", "of", "instanceof", "await", "async", "yield", "return", "throw", "case",
    "if", "else", "for", "while", "do", "var", "let", "const", "function", "class", "extends", "get", "set", "static",
    "try", "catch", "finally", "switch", "default", "break", "continue", "import", "export", "as",
})  # fmt: skip
_DIVIDED = frozenset(("++", "--", "async", "of", "get", "set", "static", "as"))
"""A slash after one of these divides. The words are keywords in some places, and names in all others."""

_BOTH_SIDES = frozenset({
    "*", "/", "%", "**", "?.", ".", "?", "&&", "||", "??", "==", "!=", "===", "!==", "<", ">", "<=", ">=", "&", "|",
    "^", "<<", ">>", ">>>", "=", "=>", "+=", "-=", "*=", "/=", "%=",
})  # fmt: skip
_RIGHT_SIDE = _BOTH_SIDES | {"+", "-", "!", "~", "..."}
_PAIRS = {")": "(", "]": "[", "}": "{"}
_VALUES = frozenset(("word", "number", "string"))
_MAX_TEMPLATES = 20


class Token(msgspec.Struct, frozen=True):
    """A token; `after_line`: a line ends before it."""

    kind: Kind
    text: str
    after_line: bool = False


class Unreadable(Exception):
    """The code is no JavaScript. Its text says why."""


class Found(msgspec.Struct, frozen=True):
    """What an expression holds: why it is wrong (empty: nothing found), and the nodes that it refers to."""

    wrong: str = ""
    nodes: tuple[str, ...] = ()


def examine(parameter: str) -> Found:
    """Look at a parameter that begins with `=`."""
    nodes: list[str] = []
    for code in _blocks(parameter[1:]):
        try:
            tokens = tokens_of(code)
            if not tokens:
                raise Unreadable("nothing")
            nodes += referred(tokens)
            _require_sense(tokens)
        except Unreadable as problem:
            return Found(f"{problem} in {{{{{code[:60]}}}}}", tuple(nodes))
    return Found("", tuple(nodes))


def referred_in_code(code: str) -> tuple[str, ...]:
    """The nodes that a piece of JavaScript refers to; none if it cannot be read."""
    try:
        return tuple(referred(tokens_of(code)))
    except Unreadable:
        return ()


def _blocks(template: str) -> Iterator[str]:
    """The pieces of code. As in n8n, the first `}}` ends one, wherever it stands; one that does not end is text."""
    at = 0
    while (start := template.find("{{", at)) >= 0:
        end = template.find("}}", start + 2)
        if end < 0:
            return
        if start == 0 or template[start - 1] != "\\":
            yield template[start + 2 : end]
        at = end + 2


def tokens_of(code: str) -> list[Token]:
    """Cut JavaScript into tokens. Raises `Unreadable`."""
    return _scan(code, 0, None)[0]


def _scan(code: str, at: int, depth: int | None) -> tuple[list[Token], int]:
    """The tokens from `at` on, and where they end: inside of templates (`depth`) at the brace that closes the hole."""
    tokens: list[Token] = []
    braces, after_line = 0, False
    while at < len(code):
        if code[at] == "`":
            inner, end = _template(code, at + 1, (depth or 0) + 1)
            tokens += [Token("template", code[at:end], after_line), *inner]
        elif (found := _match(code, at, tokens)) is None:
            raise Unreadable("a string that does not end" if code[at] in "\"'" else f"a stray {code[at]}")
        elif found.lastgroup == "space":
            after_line |= "\n" in found.group()
            at = found.end()
            continue
        else:
            token = _token(found, tokens, after_line)
            braces += {"{": 1, "}": -1}.get(token.text, 0)
            if depth is not None and braces < 0:
                return tokens, found.end()
            tokens.append(token)
            end = found.end()
        at, after_line = end, False
    if depth is not None:
        raise Unreadable("a template that does not end")
    return tokens, at


def _template(code: str, at: int, depth: int) -> tuple[list[Token], int]:
    """What stands in the holes of a template, each in brackets of its own; and where the template ends."""
    if depth > _MAX_TEMPLATES:
        raise Unreadable("templates inside of templates without end")
    tokens: list[Token] = []
    while at < len(code):
        if code[at] == "`":
            return tokens, at + 1
        if code.startswith("${", at):
            inner, at = _scan(code, at + 2, depth)
            tokens += [Token("open", "("), *inner, Token("close", ")")]
        else:
            at += 2 if code[at] == "\\" else 1
    raise Unreadable("a template that does not end")


def _match(code: str, at: int, tokens: Sequence[Token]) -> re.Match[str] | None:
    """The next token; a slash begins a regular expression where a value is expected, unless it begins a comment."""
    if code.startswith("/*", at) and code.find("*/", at + 2) < 0:
        raise Unreadable("a comment that does not end")
    if code[at] == "/" and not code.startswith(("//", "/*"), at) and _expects_value(tokens):
        return _REGEX.match(code, at)
    return _TOKEN.match(code, at)


def _token(found: re.Match[str], tokens: Sequence[Token], after_line: bool) -> Token:
    kind, text = found.lastgroup or "regex", found.group()
    is_key = bool(tokens) and tokens[-1].text in (".", "?.")
    if kind == "word" and text in _KEYWORDS and not is_key:
        kind = "keyword"
    return Token(msgspec.convert(kind, Kind), text, after_line)


def _expects_value(tokens: Sequence[Token]) -> bool:
    return not tokens or (
        tokens[-1].kind in ("operator", "open", "sign", "keyword") and tokens[-1].text not in _DIVIDED
    )


def _require_sense(tokens: Sequence[Token]) -> None:
    """Raise `Unreadable` for brackets that do not match, operators without a side, values side by side."""
    open_brackets: list[str] = []
    before: Token | None = None
    for token in tokens:
        if token.kind == "open":
            open_brackets.append(token.text)
        elif token.kind == "close" and (not open_brackets or open_brackets.pop() != _PAIRS[token.text]):
            raise Unreadable(f"a {token.text} that nothing opens")
        _require_to_follow(before, token)
        before = token
    if open_brackets:
        raise Unreadable(f"a {open_brackets[-1]} that is not closed")
    if before is not None and before.kind == "operator" and before.text in _RIGHT_SIDE:
        raise Unreadable(f"nothing after {before.text}")


def _require_to_follow(before: Token | None, token: Token) -> None:
    starts = before is None or before.kind == "open"
    if token.kind == "operator" and token.text in _BOTH_SIDES:
        if starts:
            raise Unreadable(f"nothing before {token.text}")
        if before is not None and before.kind == "operator" and before.text in _RIGHT_SIDE:
            raise Unreadable(f"nothing between {before.text} and {token.text}")
    if before is None:
        return
    if before.text in (".", "?.") and not _may_follow_a_dot(before, token):
        raise Unreadable(f"no name after {before.text}")
    if token.kind == "close" and before.kind == "operator" and before.text in _RIGHT_SIDE:
        raise Unreadable(f"nothing after {before.text}")
    if before.kind in _VALUES and token.kind in _VALUES and not token.after_line:
        raise Unreadable(f"nothing between {before.text[:20]} and {token.text[:20]}")


def _may_follow_a_dot(dot: Token, token: Token) -> bool:
    return token.kind == "word" or (dot.text == "?." and token.text in ("(", "["))


def referred(tokens: Sequence[Token]) -> list[str]:
    """The nodes named in `$('Name')`, `$items('Name')`, `$node['Name']` and `$node.Name`."""
    names = []
    for at, token in enumerate(tokens):
        if token.kind != "word" or (at and tokens[at - 1].text in (".", "?.")):
            continue
        following = [after.text for after in tokens[at + 1 : at + 4]] + ["", "", ""]
        opened, name, closed = following[:3]
        if (token.text, opened) in (("$", "("), ("$items", "("), ("$node", "[")) and closed in (")", "]", ","):
            if name[0] in "\"'`" and "${" not in name:
                names.append(_unquoted(name))
        elif token.text == "$node" and opened == ".":
            names.append(name)
    return names


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
