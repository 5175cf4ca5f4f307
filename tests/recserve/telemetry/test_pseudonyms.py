from recserve.telemetry.pseudonyms import Pseudonyms


def test_user_has_one_pseudonym_for_each_key() -> None:
    assert Pseudonyms("a").of("ana") == Pseudonyms("a").of("ana")
    assert len({Pseudonyms("a").of("ana"), Pseudonyms("b").of("ana"), Pseudonyms("a").of("bob")}) == 3


def test_without_a_key_each_process_has_its_own() -> None:
    assert Pseudonyms().of("ana") != Pseudonyms().of("ana")


def test_ids_that_are_no_valid_text_have_one_too() -> None:
    assert len(Pseudonyms("a").of("\ud800")) == 16
