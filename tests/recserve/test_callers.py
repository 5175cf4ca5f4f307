import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve.callers import FORWARDED_HEADER, KEY_HEADER, PRINCIPAL_HEADER, name_caller, read_address

ANA = {PRINCIPAL_HEADER: "ana", KEY_HEADER: "a key", FORWARDED_HEADER: "198.51.100.7:4711"}


def named(
    headers: dict[str, str], query: dict[str, str] | None = None, *, is_signed_in: bool = False
) -> bytes:
    return name_caller(headers, query or {}, is_signed_in=is_signed_in)


def test_a_caller_has_one_name() -> None:
    assert named(ANA) == named(dict(ANA))


def test_names_are_short_whatever_is_sent() -> None:
    assert len(named({KEY_HEADER: "k" * 30_000})) == len(named({})) == 16


def test_who_is_signed_in_is_told_apart_by_principal_whatever_the_key_and_the_address() -> None:
    elsewhere = ANA | {KEY_HEADER: "another", FORWARDED_HEADER: "203.0.113.9:1"}

    assert named(ANA, is_signed_in=True) == named(elsewhere, is_signed_in=True)
    assert named(ANA, is_signed_in=True) != named(ANA | {PRINCIPAL_HEADER: "ben"}, is_signed_in=True)


def test_forged_principal_makes_nobody_someone_else_while_the_platform_signs_nobody_in() -> None:
    forged = [named(ANA | {PRINCIPAL_HEADER: name}) for name in ("ana", "ben", "")]

    assert len(set(forged)) == 1


def test_keys_tell_callers_apart_in_header_and_query_alike() -> None:
    assert named({KEY_HEADER: "a key"}) == named({}, {"code": "a key"})
    assert named({KEY_HEADER: "a key"}) != named({KEY_HEADER: "another"})


def test_one_key_cannot_be_many_callers() -> None:
    first = named({KEY_HEADER: "a key"})
    # The host checks the first header, and the query only where there is no header.
    as_repeated_header = named({KEY_HEADER: "a key,made up"})
    with_query = named({KEY_HEADER: "a key"}, {"code": "made up"})
    as_repeated_query = named({}, {"code": "a key,made up"})

    assert {first, as_repeated_header, with_query, as_repeated_query} == {first}


def test_key_that_nobody_checks_makes_nobody_someone_else() -> None:
    def of_anonymous_function(key: str) -> bytes:
        return name_caller(ANA | {KEY_HEADER: key}, {"code": key}, is_signed_in=False, is_key_checked=False)

    assert of_anonymous_function("made up") == of_anonymous_function("another")


def test_empty_key_in_the_header_hides_the_one_in_the_query_as_it_does_from_the_host() -> None:
    assert named({KEY_HEADER: ""}, {"code": "made up"}) == named({})


def test_what_a_caller_writes_before_its_address_changes_nothing() -> None:
    address = "198.51.100.7:4711"
    forged = [named({FORWARDED_HEADER: f"{before}{address}"}) for before in ("", "10.0.0.1, ", "x,y,,")]

    assert len(set(forged)) == 1


def test_who_cannot_be_told_apart_shares_one_name() -> None:
    assert named({}) == named({FORWARDED_HEADER: "unknown"}) == named({FORWARDED_HEADER: "1.2.3.4, "})


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("198.51.100.7", "198.51.100.7:4711"),
        ("198.51.100.7:1", "198.51.100.7:2"),
        ("[2001:db8:1:2::7]:4711", "2001:db8:1:2:ffff::1"),
        ("[::ffff:198.51.100.7]:1", "198.51.100.7"),
    ],
)
def test_one_address_reads_the_same_however_it_is_written(one: str, same: str) -> None:
    assert read_address(one) == read_address(same) != b""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("198.51.100.7", "198.51.100.8"),
        ("2001:db8:1:2::7", "2001:db8:1:3::7"),
        ("2001:db8::", "198.51.100.7"),
    ],
)
def test_other_addresses_read_otherwise(one: str, other: str) -> None:
    assert read_address(one) != read_address(other)


@pytest.mark.parametrize("text", ["", "unknown", "1.2.3", "[", "[]:1", "fe80::1%eth0", "1.2.3.4\0", "é", ":"])
def test_what_is_no_address_is_empty(text: str) -> None:
    assert read_address(text) == b""


@settings(deadline=None)
@given(headers=st.dictionaries(st.sampled_from(sorted(ANA)), st.text()), code=st.text())
def test_any_header_names_some_caller(headers: dict[str, str], code: str) -> None:
    assert len(named(headers, {"code": code}, is_signed_in=True)) == 16
