"""Promises of the repository about itself."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from valle.cli import main
from valle.cli.app import command_names
from warehouse.tools.describe import describe_tables

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "valle", "manifests", "warehouse")


def test_the_page_of_tables_says_what_the_row_classes_say() -> None:
    assert (ROOT / "docs" / "warehouse.md").read_text(encoding="utf-8") == describe_tables(), "run `make docs`"


def test_the_readme_fits_and_names_only_commands_that_exist() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 200
    groups = {name.split()[0] for name in command_names() if " " in name}
    words = [line.split()[1:] for line in lines if line.startswith("valle ")]
    named = {" ".join(line[: 2 if line[0] in groups else 1]) for line in words if line}
    assert named <= set(command_names())


@pytest.mark.parametrize("command", command_names())
def test_every_command_has_help_that_starts_with_what_it_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    usage, purpose, *_ = capsys.readouterr().out.split("\n\n")
    assert usage.startswith(f"Usage: valle {command}")
    assert purpose.endswith(".")


def test_a_wrong_command_and_a_wrong_option_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert main(["lake", "vacuum", "--grace-hours", "-1"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "--help" in errors[0]
    assert "grace-hours" in errors[1]


def test_the_help_of_the_command_line_needs_no_prefect() -> None:
    code = "import sys, valle.cli; valle.cli.main(['--help']); valle.cli.main(['sql', '--data', '/nowhere']); "
    code += "assert not {'prefect', 'torch', 'lhotse'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_locked_package_allows_the_oldest_python_of_the_project() -> None:
    """Pip refuses the whole lock when one package wants a later Python, such as 3.11.5 on a distribution's 3.11.2."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = f"{project['requires-python'].removeprefix('>=')}.0"
    names = re.findall(r"^([\w.-]+)\S*==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    ranges = {name: python_range(name) for name in names}
    assert len(ranges) > 200
    assert [name for name, range_ in ranges.items() if not SpecifierSet(range_).contains(oldest)] == []


def python_range(name: str) -> str:
    """Return the versions of Python that a package is for; any, where a marker leaves it out of this environment."""
    try:
        return metadata(name).get("Requires-Python", "")
    except PackageNotFoundError:
        return ""


def test_every_imported_library_is_declared() -> None:
    """A library that only comes with another one may leave with it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    declared = {_normalised(re.split(r"[\s<>=!~;\[]", entry)[0]) for entry in [*project["dependencies"], *extras]}
    distributions = packages_distributions()
    undeclared = {
        f"{path.relative_to(ROOT)}: {name}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in _imported_libraries(path)
        if declared.isdisjoint(map(_normalised, distributions.get(name, [name])))
    }
    assert undeclared == set()


def _imported_libraries(path: Path) -> set[str]:
    """The top-level names that a file imports, also inside functions, without the standard library and our own."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.append(node.module)
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - set(PACKAGES)


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_importing_the_warehouse_does_no_work() -> None:
    code = "import warehouse.catalogue.views, warehouse.lake.tables, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_function_of_the_library_has_type_hints() -> None:
    unhinted = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if package == "flows" or path.name == "__main__.py" or "cli" in path.parts:
                continue  # Prefect and the command line are imported by their own tests.
            module = import_module(name.removesuffix(".__init__"))
            for key, value in vars(module).items():
                is_own = inspect.isfunction(value) and value.__module__ == module.__name__ and not key.startswith("_")
                if is_own and "return" not in value.__annotations__:
                    unhinted.append(f"{name}.{key}")
    assert unhinted == []
