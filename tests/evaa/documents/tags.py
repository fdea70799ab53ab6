"""What an HTML parser sees in a page: its tags, their attributes, its text.

A tag of a long word, which may break anywhere, is told from others of its kind: `span.long`.
"""

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.declarations: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = f"{tag}.long" if ("class", "long") in attrs else tag
        self.tags.append(name)
        self.attributes.extend((tag, attribute, value or "") for attribute, value in attrs)
        if tag == "br":
            self.text.append("\n")
        if tag not in VOID:
            self.open.append(name)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        name = self.open.pop()
        assert name.removesuffix(".long") == tag
        self.tags.append(f"/{name}")

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.declarations.append(data)

    def handle_decl(self, decl: str) -> None:
        self.declarations.append(decl)

    def unknown_decl(self, data: str) -> None:
        self.declarations.append(data)

    def handle_pi(self, data: str) -> None:
        self.declarations.append(data)


def read(page: str) -> _Reader:
    """Read a page. Raises `AssertionError` if its elements are not closed in their order."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader
