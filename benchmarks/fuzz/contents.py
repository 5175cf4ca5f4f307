"""Kinds of case that are HTTP, with contents that nobody should send."""

import gzip
import json
from collections.abc import Callable, Sequence

from benchmarks.fuzz.cases import GOOD_BODIES, QUESTION, Case, Draw

LIMITS = {"recommend": 256 * 1024, "recommend/batch": 2 * 1024 * 1024, "events": 1024 * 1024}
"Largest body of each, in bytes."
HUGE = 10**400
BOMB = gzip.compress(b" " * 20_000_000, mtime=0)
"20 MB in 20 kB."
NUMBERS = (
    "NaN",
    "Infinity",
    "-0",
    "1e999",
    "-1e999",
    "1e-999",
    "0x10",
    "01",
    "+1",
    "1.0",
    "1e2",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1" * 5000,
    "٣",
    "１",
    "",
    " ",
    "null",
    "true",
    "[]",
    "1_000",
)
STRINGS = (
    "",
    "\0",
    "a\0b",
    "\u202e",
    "\ufeff",
    "💥" * 64,
    "e\u0301" * 128,
    "\ud7ff",
    "../../etc/passwd",
    "' OR 1=1 --",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "<script>",
    "a" * 257,
    "a" * 100_000,
    "%00",
    "%2e%2e%2f",
    "\r\nx: y",
    "\x7f",
    "\u2028",
)


def odd_json(draw: Draw) -> Case:
    to = draw.rng.choice([*GOOD_BODIES])
    good = json.dumps(GOOD_BODIES[to])
    nested = draw.rng.choice((10, 500, 5_000, 60_000))
    body = draw.rng.choice(
        (
            draw.spoil(good.encode()),
            b"[" * nested + b"]" * nested,
            b'{"history":' * nested + b"1" + b"}" * nested,
            b'{"rules":' * nested,
            good.encode("utf-16"),
            b"\xef\xbb\xbf" + good.encode(),
            good.encode() + b"\0",
            good.encode() + good.encode(),
            b"\xff\xfe\x80" * 30,
            b'{"history": [260], "k": 5, "k": 6}',
            b'{"user_id": "\\ud800", "k": 5}',
            b'{"user_id": "\xed\xa0\x80"}',
            b'{"user_id": "\\u0000"}',
            b'{"\\ud83d": 1}',
            b"",
            b" " * 5000,
            b"null",
            b'"' + b"a" * 200_000 + b'"',
            b'{"history": [' + b"1," * 1001 + b"1]}",
            json.dumps({"history": [HUGE]}).encode(),
            json.dumps({draw.rng.choice(STRINGS): draw.rng.choice(STRINGS)}).encode(),
        )
    )
    return Case(kind="odd JSON", parts=[draw.post(body, to=to)])


def odd_values(draw: Draw) -> Case:
    """Right names with values at the edge of what JSON can hold."""
    number, text = draw.rng.choice(NUMBERS), json.dumps(draw.rng.choice(STRINGS))
    bodies = {
        "recommend": (
            f'{{"history": [{number}], "k": 5}}',
            f'{{"history": [{text}, {number}]}}',
            f'{{"user_id": {text}, "k": {number}}}',
            f'{{"history": [260], "rules": {{"diversity": {number}, "seed": {number}}}}}',
            f'{{"history": [260], "rules": {{"pins": [{{"item_id": {text}, "position": {number}}}]}}}}',
            f'{{"history": [260], "rules": {{"boosts": [{{"genres": [{text}], "weight": {number}}}]}}}}',
            f'{{"history": [260], "rules": {{"filters": {{"allow": {{"item_ids": [{text}]}}}}}}}}',
        ),
        "events": (
            f'{{"events": [{{"event_id": {text}, "user_id": {text}, "item_id": {number}, "kind": "view"}}]}}',
            f'{{"events": [{{"event_id": "e", "user_id": {text}, "item_id": 1, "kind": {text}}}]}}',
        ),
    }
    to = draw.rng.choice([*bodies])
    return Case(kind="odd values", parts=[draw.post(draw.rng.choice(bodies[to]).encode(), to=to)])


def odd_terms(draw: Draw) -> Case:
    """Headers that the app reads: deadline, priority, trace."""
    number, text = draw.rng.choice(NUMBERS), draw.rng.choice([text for text in STRINGS if len(text) < 5000])
    text = "".join(character for character in text if character.isprintable())
    trace = draw.rng.choice(
        (
            "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
            "00-" + "a" * 32 + "-" + "b" * 16 + "-ff",
            "ff-" + "g" * 50,
            "00",
            text,
        )
    )
    lines = draw.rng.sample(
        (
            f"x-recserve-deadline-ms: {number}",
            f"x-recserve-priority: {text}",
            f"traceparent: {trace}",
            f"tracestate: {text}",
            f"content-type: application/json; charset={text}",
            f"x-recserve-deadline-ms: {text}",
            f"baggage: {text}={text}",
        ),
        k=3,
    )
    return Case(
        kind="odd terms",
        parts=[draw.post(json.dumps(QUESTION).encode(), *lines, to="recommend")],
        ending="maybe",
    )


def odd_query(draw: Draw) -> Case:
    query = draw.rng.choice(
        (
            "k=%00",
            "k=%ff",
            "k=%",
            "k=1&k=2",
            "k=%D9%A3",
            "k=1e1",
            "k=+1",
            "k=%2B1",
            "k",
            "=",
            "&&&",
            "k=5&" * 3000,
            "query=" + "a" * 60_000,
            "query=%F0%9F%92%A5",
            "query=%ED%A0%80",
            "limit=-1",
            "offset=99999999999999999999",
            "k[]=1",
            "k[$gt]=1",
            "user_id=%2F",
            "code=%ff",
            "code=" + "x" * 5000,
            "__proto__=1",
            "k=1;k=2",
            "k=\xe9",
            "k=1#2",
        )
    )
    path = draw.rng.choice(
        ("popular", "items", "recommend/ana", "users", "items/260/similar", "models", "openapi.json")
    )
    return Case(kind="odd query", parts=[draw.head("GET", f"/api/{path}?{query}")], ending="maybe")


def odd_path(draw: Draw) -> Case:
    name = draw.rng.choice(
        (
            "..",
            "%2e%2e",
            "%2e%2e%2f",
            "%00",
            "%ff%fe",
            "%F0%9F%92%A5",
            "a" * 300,
            "a" * 60_000,
            "%252F",
            "..;",
            "a/b",
            "%",
            "%5c",
            "~",
            "'",
            "%0d%0ax:y",
            "a%20b",
            "\xe9",
            "%C0%AF",
            "-1",
            "1.0",
            "%EF%BB%BF",
        )
    )
    path = draw.rng.choice(
        (
            "/api/recommend/{}",
            "/api/users/{}",
            "/api/items/{}/similar",
            "/api/{}",
            "/{}",
            "/admin/{}",
            "//api/{}",
            "/API/USERS/{}",
        )
    )
    return Case(
        kind="odd path",
        parts=[draw.head(draw.rng.choice(("GET", "DELETE")), path.format(name))],
        ending="maybe",
    )


def body_at_limit(draw: Draw) -> Case:
    """As large as is allowed, one byte more, and much more."""
    to = draw.rng.choice(["recommend"] * 8 + [*LIMITS])
    limit = LIMITS[to]
    size = draw.rng.choice((limit - 1, limit, limit + 1, limit + 70_000))
    body = json.dumps(GOOD_BODIES[to]).encode()
    body = body[:-1] + b" " * (size - len(body)) + body[-1:]
    return Case(kind="body at limit", parts=[draw.post(body, to=to)])


def compressed(draw: Draw) -> Case:
    """Bombs, and what says that it is compressed and is not."""
    body = draw.rng.choice(
        (
            BOMB,
            gzip.compress(json.dumps(QUESTION).encode(), mtime=0),
            b"\x1f\x8b\x08",
            b"not at all",
        )
    )
    coding = draw.rng.choice(("gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", "x-gzip", "GZIP"))
    return Case(kind="compressed", parts=[draw.post(body, f"content-encoding: {coding}")])


KINDS: Sequence[Callable[[Draw], Case]] = (
    odd_json,
    odd_values,
    odd_terms,
    odd_query,
    odd_path,
    body_at_limit,
    compressed,
)
