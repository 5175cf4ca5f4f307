import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.functions_host.errors import RouteTemplateError
from emulator.functions_host.templates import RouteTemplate

NO_MATCH = None


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("recommend", "recommend", {}),
        ("recommend", "RECOMMEND", {}),
        ("recommend", "recommend/x", NO_MATCH),
        ("/recommend/", "recommend", {}),
        ("items/{id}", "items/a b", {"id": "a b"}),
        ("items/{id}", "Items/7", {"id": "7"}),
        ("items/{id}", "items", NO_MATCH),
        ("items/{id}", "items/7/8", NO_MATCH),
        ("items/{id}", "items//", NO_MATCH),
        ("items/{id?}", "items", {}),
        ("items/{id?}", "items/7", {"id": "7"}),
        ("items/{id:int?}", "items", {}),
        ("items/{id:int?}", "items/x", NO_MATCH),
        ("items/{page=1}", "items", {"page": "1"}),
        ("items/{page:int=1}", "items/4", {"page": "4"}),
        ("{a=x}/{b=y}", "", {"a": "x", "b": "y"}),
        ("{a=x}/{b=y}", "1", {"a": "1", "b": "y"}),
        ("{a=x}/end", "end", NO_MATCH),
        ("files/{*rest}", "files", {}),
        ("files/{*rest}", "files/a/b.txt", {"rest": "a/b.txt"}),
        ("files/{**rest}", "files/a/b", {"rest": "a/b"}),
        ("files/{*rest:alpha}", "files/1", NO_MATCH),
        ("{*all}", "", {}),
        ("{from}-{to}", "a-b", {"from": "a", "to": "b"}),
        ("{from}-{to}", "a-b-c", {"from": "a-b", "to": "c"}),
        ("v{major:int}.{minor:int}", "v3.14", {"major": "3", "minor": "14"}),
        ("v{major:int}.{minor:int}", "v3", NO_MATCH),
        ("{name}.{ext?}", "photo", {"name": "photo"}),
        ("{name}.{ext?}", "photo.tar.gz", {"name": "photo.tar", "ext": "gz"}),
        ("{{literal}}/{id}", "{literal}/7", {"id": "7"}),
        ("{id:int:min(3):max(5)}", "4", {"id": "4"}),
        ("{id:int:min(3):max(5)}", "6", NO_MATCH),
        (r"{code:regex(^\d{{3}}-[a-z]+$)}", "123-ab", {"code": "123-ab"}),
        (r"{code:regex(^\d{{3}}-[a-z]+$)}", "12-ab", NO_MATCH),
        ("{x:regex(^(a|b)/?$)}/{y}", "a/c", {"x": "a", "y": "c"}),
        (r"{x:regex(^\($)}", "(", {"x": "("}),
        ("a.b", "axb", NO_MATCH),
    ],
)
def test_template_matches_as_in_asp_net(template: str, path: str, expected: dict[str, str] | None) -> None:
    assert RouteTemplate(template).match(path) == expected


@pytest.mark.parametrize(
    ("constraint", "accepted", "refused"),
    [
        ("int", ["0", "-5", "+7", "2147483647"], ["2147483648", "1.0", "x", "١"]),
        ("long", ["9223372036854775807"], ["9223372036854775808"]),
        ("bool", ["true", "FALSE"], ["1", "yes"]),
        ("decimal", ["1", "-1.5", ".5", "1,000.5"], ["1e3", "", "1.2.3"]),
        ("double", ["1", "1e-3", "-.5", "NaN"], ["e3", "one"]),
        ("float", ["1.5"], ["1.5f"]),
        ("alpha", ["abc", "XYZ"], ["a1", "é"]),
        ("required", ["x"], []),
        ("file", ["a.txt"], ["a", "a."]),
        ("nonfile", ["a"], ["a.txt"]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(1,3)", ["a", "abc"], ["abcd"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("min(-1)", ["-1", "5"], ["-2", "x"]),
        ("max(5)", ["5"], ["6"]),
        ("range(2,4)", ["2", "4"], ["1", "5", "3.0"]),
        ("datetime", ["2026-11-22", "2026-11-22T10:00:00", "11-22-2026", "2026-11-22 7:32pm"], ["22", "x"]),
        (
            "guid",
            [
                "d2719b1e-4c2a-4c67-8d0f-3a1f2b4c5d6e",
                "{D2719B1E-4C2A-4C67-8D0F-3A1F2B4C5D6E}",
                "d2719b1e4c2a4c678d0f3a1f2b4c5d6e",
            ],
            ["d2719b1e-4c2a-4c67-8d0f-3a1f2b4c5d6", "{d2719b1e-4c2a-4c67-8d0f-3a1f2b4c5d6e"],
        ),
    ],
)
def test_constraint_accepts_its_kind_only(constraint: str, accepted: list[str], refused: list[str]) -> None:
    template = RouteTemplate("{x:" + constraint.replace("{", "{{").replace("}", "}}") + "}")

    assert [text for text in accepted if template.match(text) != {"x": text}] == []
    assert [text for text in refused if template.match(text) is not None] == []


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("items/{id", "'{' without '}'"),
        ("items/id}", "'}' without '{'"),
        ("items/{}", "no valid parameter name"),
        ("items/{***rest}", "no valid parameter name"),
        ("items/{id:integer}", "unknown constraint 'integer'"),
        ("items/{id:length(a)}", "needs 1 or 2 whole number(s)"),
        ("items/{id:range(1)}", "needs 2 whole number(s)"),
        ("items/{id:regex([)}", "invalid pattern '['"),
        ("{id}/{ID}", "parameter 'ID' appears twice"),
        ("{a}{b}", "two parameters need text between them"),
        ("{*all}/x", "catch-all must be the whole last segment"),
        ("{a?}/x", "only the last parameter may be optional"),
        ("{a}-{b?}", "must follow a '.'"),
        ("{*a?}", "drop the '?'"),
    ],
)
def test_faulty_template_is_refused_with_its_fault(template: str, problem: str) -> None:
    with pytest.raises(RouteTemplateError, match=re.escape(problem)):
        RouteTemplate(template)


def test_precedence_goes_from_literal_to_catch_all() -> None:
    templates = ["items/{*rest}", "items/{id}", "items/new", "items/{*rest:alpha}", "items/{id:int}"]

    templates.sort(key=lambda text: RouteTemplate(text).precedence)

    assert templates == [
        "items/new",
        "items/{id:int}",
        "items/{id}",
        "items/{*rest:alpha}",
        "items/{*rest}",
    ]


literals = st.text(string.ascii_letters + string.digits + "._~ +$", min_size=1, max_size=8)
values = st.text(st.characters(exclude_characters="/", exclude_categories=("Cs",)), min_size=1, max_size=12)


@given(st.lists(st.tuples(literals, values), min_size=1, max_size=5))
def test_values_put_into_a_path_come_back(pairs: list[tuple[str, str]]) -> None:
    template = RouteTemplate("/".join(f"{text}/{{p{index}}}" for index, (text, _) in enumerate(pairs)))
    path = "/".join(f"{text}/{value}" for text, value in pairs)

    assert template.match(path) == {f"p{index}": value for index, (_, value) in enumerate(pairs)}


@given(st.text(max_size=30))
def test_any_text_is_a_template_or_a_template_error(text: str) -> None:
    try:
        template = RouteTemplate(text)
    except RouteTemplateError:
        return
    template.match("some/path")


@given(
    st.text(max_size=20), st.sampled_from(["int", "long", "decimal", "double", "datetime", "guid", "bool"])
)
def test_constraints_judge_any_text(text: str, constraint: str) -> None:
    assert RouteTemplate(f"{{*x:{constraint}}}").match(text) in (None, {}, {"x": text})
