"""What one check found."""

from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "fail"]


class Diagnosis(NamedTuple):
    level: Level
    subject: str
    "What was looked at, in one word or two."
    text: str
    "What was found; ends with a remedy unless all is well."

    def __str__(self) -> str:
        return f"{self.level:<4}  {self.subject:<12}  {self.text}"
