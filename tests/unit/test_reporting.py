"""Tables of reports show labels of corpora as text."""

from valle.reporting import markdown_rows


def test_a_label_is_neither_html_nor_a_link_nor_the_end_of_a_cell():
    labels = ['<img src=x onerror="alert(1)">', "![](http://example.com/a.png)", "a|b", "c\\|d", "two\nlines", ""]
    rows = markdown_rows(("label", "n"), [(label, 1) for label in labels], numeric=(False, True)).splitlines()[2:]
    cells = [row.removeprefix("| ").removesuffix(" | 1 |") for row in rows]
    assert cells == [
        '\\<img src=x onerror="alert(1)">', "![\\](http://example.com/a.png)", "a\\|b", "c\\\\\\|d",
        "two lines", "(space)",
    ]  # fmt: skip
