"""The language of docstrings, comments and pages: imperative, in the words of docs/glossary.md."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "valle", "manifests", "warehouse")
QUESTION = re.compile(r"(what|how|who|where|which|those|whether|whatever|whoever|why)\b", re.IGNORECASE)


def refused_words() -> list[str]:
    """Return the words in code font of the *never* columns and of the last section of the glossary."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line.split("|")[-2] for line in text.splitlines() if line.startswith("|")]
    rest = text.split("Never:")[1]
    return re.findall(r"`([^`]+)`", " ".join([*rows, rest]))


def docstrings(*packages: str) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every docstring below some folders, those of attributes and options included."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for text in strings_of(node):
                    yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", text


def strings_of(node: ast.AST) -> Iterator[str]:
    """Yield the docstring of a node, and the strings under the assignments in its body."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if text := ast.get_docstring(node):
            yield text
        for before, after in pairwise(node.body):
            match before, after:
                case ast.Assign() | ast.AnnAssign(), ast.Expr(ast.Constant(str(text))):
                    yield text


def comments(*packages: str) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every comment below some folders."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
                if token.type == tokenize.COMMENT:
                    yield f"{path.relative_to(ROOT)}:{token.start[0]}", token.string


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the prose of every page and card: no code, no history, not the glossary itself."""
    cards = (ROOT / "valle" / "checkpoints" / "embedded").glob("*/README.md")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *cards]:
        if path.name not in ("glossary.md", "log.md"):
            text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            yield str(path.relative_to(ROOT)), re.sub(r"`[^`]*`", "", text)


def test_the_glossary_refuses_words() -> None:
    words = refused_words()
    assert {"heard", "station", "leash", "nobody"} <= set(words)
    assert "corpus" not in words


def test_no_docstring_opens_with_a_question_word() -> None:
    assert [place for place, text in docstrings(*PACKAGES, "tests", "benchmarks") if QUESTION.match(text)] == []


def test_docstrings_comments_and_pages_use_the_terms_of_the_glossary() -> None:
    words = re.compile(r"\b(" + "|".join(map(re.escape, refused_words())) + r")\b", re.IGNORECASE)
    found = [
        f"{place}: {match[0]}"
        for place, text in [*docstrings(*PACKAGES, "tests", "benchmarks"), *comments(*PACKAGES), *pages()]
        for match in words.finditer(re.sub(r"`[^`]*`", "", text))
    ]
    assert found == []


def test_no_folder_holds_more_than_14_modules() -> None:
    folders = [folder for package in PACKAGES for folder in [ROOT / package, *(ROOT / package).rglob("*/")]]
    wide = {
        str(folder.relative_to(ROOT)): count
        for folder in folders
        if (count := len(set(folder.glob("*.py")) - {folder / "__init__.py"})) > 14
    }
    assert wide == {}
