import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.documents.n8n.expressions import examine, referred_in_code

SOUND = [
    "= plain", "={{ $json.a }}", '={{ $json["a b"]?.c ?? "" }}', "=Hello {{ $json.name }}, {{ $now.plus({days: 1}) }}",
    '={{ /a b"/.test($json.x) }}', "={{ x => ({a: 1}) }}", '={{ [...$json.a, 1].map(i => i.b).join(", ") }}',
    '={{ `a ${$json.b ? `x ${1}` : "y"} c` }}', "={{ !x && -1 < +y }}", '={{ typeof a === "string" ? a : b }}',
    "={{ 1 \n 2 }}", "={{ (() => { const x = 1; if (x) return x; return 2 })() }}", '={{ "it\'s" }}', "={{ a++ }}",
    "={{ $json.a.b.c[0] / 2 / 3 }}", "={{ {a:1, b:[1,2,],} }}", "={{ new Date().toISOString() }}",
    "={{ 1.5.toFixed(2) }}", "={{ /* c */ a // d\n }}", "={{ $json.class.new }}", "={{ a?.[0]?.(1) }}",
    "=\\{{ not code", "={{ unclosed", "={{ it's", "={{ $json.größe }}", '={{ $json["x"].match(/[/"]+/g)[0] }}',
    "={{ void 0 }}", "={{ a ? .5 : b }}", '={{ a.split("}").length }}', "={{ (a, b) }}", "={{ `${1}` + `$` }}",
    "= a }} b", "=", "={{ $json.default / 2 }}", "={{ $json?.new / 3 }}", "={{ set / of / 2 }}",
    "={{ (() => { return /[/]/.test(a) })() }}",
]  # fmt: skip
"""Those with brackets that do not close, line breaks and commas at the end were run in n8n 2.8.4, too."""

BROKEN = {
    "={{ $json. }}": "nothing after .",
    "={{ $json.a + }}": "nothing after +",
    "={{ && a }}": "nothing before &&",
    "={{ f(a +) }}": "nothing after +",
    "={{ a && || b }}": "nothing between && and ||",
    "={{ a.[1] }}": "no name after .",
    "={{ (a }}": "a ( that is not closed",
    "={{ a) }}": "a ) that nothing opens",
    "={{ (a] }}": "a ] that nothing opens",
    "={{ {a:{b:1}} }}": "a { that is not closed",  # n8n ends the code at the first pair of brackets
    '={{ "a }}': "a string that does not end",
    "={{ `a }}": "a template that does not end",
    "={{ `a ${1 }}": "a template that does not end",
    "={{ /* a }}": "a comment that does not end",
    "={{ /a }}": "a stray /",
    "={{ a b }}": "nothing between a and b",
    "={{ $json.default 'a' }}": "nothing between default and 'a'",
    "={{ [1 2] }}": "nothing between 1 and 2",
    "={{ \\ }}": "a stray \\",
    "={{ }}": "nothing",
    "= text {{ a }} and {{ b. }}": "nothing after .",
}


@pytest.mark.parametrize("parameter", SOUND)
def test_what_is_sound(parameter: str) -> None:
    assert examine(parameter).wrong == ""


@pytest.mark.parametrize("parameter", BROKEN)
def test_what_is_broken(parameter: str) -> None:
    assert examine(parameter).wrong.startswith(f"{BROKEN[parameter]} in {{{{")


@pytest.mark.parametrize(
    ("parameter", "nodes"),
    [
        ("={{ $('A B').item.json.x + $(\"C\").first() + $(`D`).all() }}", ("A B", "C", "D")),
        ('={{ $node["A"].json.b + $node.C.json }}', ("A", "C")),
        ('={{ $items("A", 0)[0] }}', ("A",)),
        ("={{ $('it\\'s').item }}", ("it's",)),
        ("={{ `${$('A').item}` }}", ("A",)),
        ("={{ \"$('A')\" }}", ()),
        ("={{ jquery.$('A') }}", ()),
        ("={{ $(name).item }}", ()),
        ("={{ $('A' + b) }}", ()),
        ("={{ $(`A${b}`) }}", ()),
        ("$('A')", ()),
    ],
)
def test_the_nodes_that_it_refers_to(parameter: str, nodes: tuple[str, ...]) -> None:
    assert examine(parameter).nodes == nodes


def test_the_nodes_that_code_refers_to() -> None:
    assert referred_in_code("// $('No')\nfor (const x of $('A').all()) { x.y = /'/.test(x) }") == ("A",)
    assert referred_in_code("'") == ()


@given(st.text(alphabet="={}$'\"`\\/*[]()+.,a1 \n", max_size=60))
def test_no_text_makes_it_raise(text: str) -> None:
    examine(f"={text}")
    examine(f"={{{{{text}}}}}")
