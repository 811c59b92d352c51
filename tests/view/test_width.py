import pytest

from postel.view.width import left, plain, right, width, wrap


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("SYN", 3),
        ("三次握手", 8),
        ("ACK 已收到", 10),
        ("──►│", 4),
        ("e\u0301", 1),
        ("\033[31mred\033[0m", 3),
        ("“两”", 4),
        ("，", 2),
    ],
)
def test_width(text: str, columns: int) -> None:
    assert width(text) == columns


def test_padding_counts_columns() -> None:
    assert left("半关闭", 8) + "|" == "半关闭  |"
    assert right("半关闭", 8) == "  半关闭"
    assert left("too long", 3) == "too long"
    assert width(left("\033[1m握\033[0m", 5)) == 5


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("", 10, []),
        ("one two three", 9, ["one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("三次握手完成", 8, ["三次握手", "完成"]),
        ("三次握手，完成", 8, ["三次握", "手，完成"]),
        ("等待 ACK 到达", 7, ["等待", "ACK 到", "达"]),
        ("第三次（握手）完", 8, ["第三次", "（握手）", "完"]),
    ],
)
def test_wrapping(text: str, columns: int, lines: list[str]) -> None:
    assert wrap(text, columns) == lines
    assert all(width(line) <= columns for line in lines)


def test_an_english_text_in_ascii() -> None:
    assert plain("“a” → b…") == '"a" -> b...'
