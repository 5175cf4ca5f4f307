import pytest

from recserve.errors import InvalidSettings
from recserve.experiments import Arm, Split, read_split

USERS = [f"user-{i}" for i in range(20_000)]


def test_users_are_dealt_out_by_weight() -> None:
    split = Split([Arm("student", 80), Arm("int8", 20)])
    share = sum(split.arm(user).variant == "int8" for user in USERS) / len(USERS)

    assert share == pytest.approx(0.2, abs=0.015)


def test_user_keeps_the_arm_when_the_process_is_another() -> None:
    one, other = (Split([Arm("student", 1), Arm("int8", 1)], salt="june") for _ in range(2))

    assert [one.arm(user) for user in USERS[:100]] == [other.arm(user) for user in USERS[:100]]


def test_weight_that_grows_moves_only_users_to_the_grown_arm() -> None:
    before = Split([Arm("student", 90), Arm("int8", 10)])
    after = Split([Arm("student", 80), Arm("int8", 20)])
    moved = [u for u in USERS if before.arm(u).variant != after.arm(u).variant]

    assert len(moved) / len(USERS) == pytest.approx(0.1, abs=0.015)
    assert {after.arm(user).variant for user in moved} == {"int8"}


def test_other_salt_deals_anew() -> None:
    june, july = (Split([Arm("student", 1), Arm("int8", 1)], salt=salt) for salt in ("june", "july"))
    same = sum(june.arm(user) == july.arm(user) for user in USERS) / len(USERS)

    assert same == pytest.approx(0.5, abs=0.02)


def test_split_is_read_from_one_line() -> None:
    split = read_split(" student=90, challenger/student = 10 ")

    assert split is not None
    assert list(split.arms) == [Arm("student", 90.0), Arm("student", 10.0, "challenger")]
    assert read_split("  ") is None


@pytest.mark.parametrize(
    "text", ["student", "student=0", "student=-1", "student=x", "=5", "v2/student=5", "a=nan"]
)
def test_split_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(InvalidSettings, match="RECSERVE_SPLIT"):
        read_split(text)
