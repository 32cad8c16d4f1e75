"""Numbers for the attempts that run at the same time, so that each can have ports and databases of its own."""

from msgspec import Struct, field


class Slots(Struct):
    """The numbers that are taken. Belongs to one event loop."""

    _taken: set[int] = field(default_factory=set)

    def take_slot(self) -> int:
        """Takes the lowest free number, from 0 on: with n attempts at a time, all are below n."""
        number = next(number for number in range(len(self._taken) + 1) if number not in self._taken)
        self._taken.add(number)
        return number

    def give_back(self, number: int | None) -> None:
        """Makes a number free again; None: none was taken."""
        self._taken.discard(-1 if number is None else number)
