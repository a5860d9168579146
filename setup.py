"""Build step of the wheel; everything else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithDeployments(build_py):
    """Copy `prefect.yaml` into the package `flows`: an installed wheel registers the deployments of the checkout."""

    def run(self) -> None:
        """Build the packages, then copy the file; an editable install reads that of the checkout."""
        super().run()
        if not self.editable_mode:
            self.copy_file("prefect.yaml", str(Path(self.build_lib) / "flows" / "prefect.yaml"))


setup(cmdclass={"build_py": BuildWithDeployments})
