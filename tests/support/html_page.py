"""Reads a page as a browser's parser would, strictly: what is open, which ids, what it loads."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "input", "hr", "img", "link"}
LOADS = {"src", "srcset", "href", "data", "action", "formaction", "poster", "xlink:href", "ping"}


class Page(HTMLParser):
    """A page that was parsed to its end.

    Attributes:
        tags: of every element, the name and the attributes.
        wrong: elements that were closed out of turn, and attributes that stand twice.
        text: what a reader sees, and the style and script.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.wrong: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.wrong += [f"<{tag}> is not closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if len(told) != len(attrs):
            self.wrong.append(f"<{tag}> has an attribute twice: {attrs}")
        self.tags.append((tag, told))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        """Every value of an attribute."""
        return [told[name] for _, told in self.tags if name in told]

    def loaded(self) -> list[str]:
        """Every address that a browser might load or follow, but for places in the page."""
        found = [value for name in LOADS for value in self.values(name)]
        return [value for value in found if not value.startswith("#")]

    def problems(self) -> list[str]:
        """What is not well formed, and references to nothing."""
        ids = self.values("id")
        wanted = [value[1:] for value in self.values("href") if value.startswith("#")]
        wanted += [*self.values("aria-labelledby"), *self.values("for")]
        return [
            *self.wrong,
            *(f"id {each} stands twice" for each in set(ids) if ids.count(each) > 1),
            *(f"nothing has the id {each}" for each in wanted if each not in ids),
        ]
