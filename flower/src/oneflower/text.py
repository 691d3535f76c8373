"""Words of others, and lists of them, as they may stand in an error or a line of the log."""

from collections.abc import Iterable, Sequence

MOST_QUOTED = 200
MOST_SAID = 2000


def quoted(text: str, most: int = MOST_QUOTED) -> str:
    """In quotes, without line ends of its own, and of ``most`` characters."""
    return repr(_shortened(text, most))


def one_line(text: str, most: int = MOST_SAID) -> str:
    """Without quotes, on one line of ``most`` printable characters: what a node says is no line of the log."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return _shortened(" ".join(printable.split()), most)


def few_of(parts: Iterable[str], most: int = 3, separator: str = ", ") -> str:
    """The first of the parts, and how many more there are."""
    every: Sequence[str] = list(parts)
    few = separator.join(every[:most])
    return few if len(every) <= most else f"{few} and {len(every) - most} more"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
