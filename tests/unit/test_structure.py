"""Figures of the code that must not get worse: lengths, type hints, names, import cycles and import depth."""

import ast
import io
import statistics
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "valle", "manifests", "warehouse")
ROWS = "warehouse/rows.py"  # The columns of every table, in one place on purpose.


def modules() -> dict[str, Path]:
    """Return the path of every module of the product by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield the place and the node of every function."""
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno}", node


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function with its docstring, without its decorators."""
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def at_load(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is loaded: none of functions, none for type checkers only."""
    for node in body:
        if isinstance(node, ast.If):
            yield from at_load(node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else node.body + node.orelse)
        elif isinstance(node, ast.Try):
            yield from at_load(node.body + node.orelse + node.finalbody)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(name: str, path: Path, known: dict[str, Path], *, lazily: bool = True) -> set[str]:
    """Return the modules of the product that a module imports; with `lazily` those inside functions too."""
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if lazily else at_load(tree.body):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return (names & known.keys()) - {name}


def test_no_module_is_longer_than_400_lines() -> None:
    counts = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules().values()
    }
    assert {path: count for path, count in counts.items() if count > 400 and path != ROWS} == {}


def test_functions_are_short() -> None:
    lengths = {place: lines_of(node) for place, node in functions()}
    assert {place: length for place, length in lengths.items() if length > 80} == {}
    assert statistics.median(lengths.values()) <= 8
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= 20


def test_every_function_declares_what_it_returns() -> None:
    assert [place for place, node in functions() if node.returns is None] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = modules()
    TopologicalSorter({name: imported(name, path, known) for name, path in known.items()}).prepare()


def test_a_module_is_loaded_through_at_most_ten_others() -> None:
    """A long chain means that a reader, and every start of a command, passes many modules; move shared types down."""
    known = modules()
    graph = {name: imported(name, path, known, lazily=False) for name, path in known.items()}
    chains: dict[str, list[str]] = {}
    for name in TopologicalSorter(graph).static_order():
        # `from package import module` names both; the package itself holds no code that the chain passes.
        below = [chains[other] for other in graph[name] if not any(o.startswith(f"{other}.") for o in graph[name])]
        chains[name] = [name, *max(below, key=len, default=[])]
    assert [chain for chain in chains.values() if len(chain) > 10] == []


def test_no_two_public_classes_share_a_name() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for name, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(name)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_files_are_renamed_into_place_by_one_function() -> None:
    """Elsewhere only folders are renamed, and the file of commands is moved away before it is read."""
    # `Path.replace` and `Path.rename` have one argument, the other methods of these names have more or none.
    found = {
        name
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("replace", "rename")
        and (len(node.args), len(node.keywords)) == (1, 0)
    }
    folders = {"checkpoints.saving", "backends.weights", "interchange.sets.export", "serving.voices"}
    assert found == {"warehouse.files", "valle.training.commands", *(f"valle.{name}" for name in folders)}


def code_and_comments(text: str) -> tuple[int, int]:
    """Count the lines that hold code without docstrings, and the lines that hold a comment."""
    passive = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}
    code: set[int] = set()
    comments: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in passive:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node) is not None:
            assert node.body[0].end_lineno is not None
            code.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(code), len(comments)


def test_comments_give_reasons_neither_rarely_nor_everywhere() -> None:
    counts = [code_and_comments(path.read_text(encoding="utf-8")) for path in modules().values()]
    per_hundred = 100 * sum(comments for _, comments in counts) / sum(code for code, _ in counts)
    assert 3 <= per_hundred <= 8
