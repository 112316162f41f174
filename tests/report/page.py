"""A parser of report pages."""

from html.parser import HTMLParser

INLINE = {"a", "abbr"}
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Collects the content of a page, and checks that its elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.words += [" "] * (tag not in INLINE)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.words += [" "] * (tag not in INLINE)

    def handle_data(self, data):
        if not {"style", "script"} & {*self.open}:
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def headings(self):
        return [attributes["id"] for tag, attributes in self.attributes if tag == "section"]
