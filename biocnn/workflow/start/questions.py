"""Questions on the terminal; without one, and with --yes, the default is the answer."""

from contextlib import suppress

from biocnn.core.errors import InputError


class Questions:
    """Asks for what files do not state.

    Parameters
    ----------
    asked
        Whether somebody answers; else defaults are taken.
    """

    def __init__(self, asked: bool) -> None:
        self.asked = asked
        self.assumed: list[str] = []  # questions that were not asked, with their default answers

    def choose(self, question: str, options: dict[str, str]) -> str:
        """Return one of the options, each with its meaning; the first is the default."""
        names = list(options)
        if not self.asked:
            self.assumed.append(f"{question} {names[0]}")
            return names[0]
        print(f"\n{question}")
        for number, (name, meaning) in enumerate(options.items(), 1):
            print(f"  {number}  {name}" + (f": {meaning}" if meaning else ""))
        while True:
            given = self._line("Number or word [1]: ") or names[0]
            if given in names:
                return given
            if given.isdecimal() and 0 < int(given) <= len(names):
                return names[int(given) - 1]
            print(f"{given!r} is not one of these")

    def numbers(self, question: str, many: int) -> list[float]:
        """Return positive numbers, or none if these are not known."""
        if not self.asked:
            return []
        while given := self._line(f"\n{question}; empty if unknown: "):
            with suppress(ValueError):
                found = [float(word) for word in given.split()]
                found = found * many if len(found) == 1 else found
                if len(found) == many and all(0 < number < float("inf") for number in found):
                    return found
            print(f"{given!r}: give one number above 0, such as 0.5, or {many}, separated by blanks")
        return []

    def _line(self, prompt: str) -> str:
        try:
            return input(prompt).strip()
        except EOFError as error:
            raise InputError("the answer ended", "answer each question, or use --yes for the defaults") from error
