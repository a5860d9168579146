"""Options of `valle up` and `valle down`."""

from pydantic import Field

from flows.parameters import Located
from flows.server.local_server import LocalServer


class UpOptions(Located):
    """Start a Prefect server with a worker per work pool and all deployments; processes that run already stay."""

    host: str = "127.0.0.1"
    """Address that the server listens on; 0.0.0.0 for workers and browsers on other machines."""
    port: int = Field(default=4200, ge=1, le=65535)
    """Port of the server and its UI."""
    names: tuple[str, ...] = ()
    """Further host names by which browsers and workers reach the server; requests for other names are refused."""
    cpu: int = Field(default=2, ge=1, le=1024)
    """Runs at a time in the pool `cpu`, on all machines together."""
    gpu: int = Field(default=1, ge=1, le=1024)
    """Runs at a time in the pool `gpu`."""
    train: int = Field(default=1, ge=1, le=1024)
    """Runs at a time in the pool `train`."""
    allow_commands: bool = False
    """Let runs of the deployment `evaluate` start the command line in their parameters."""
    show_password: bool = False
    """Print the password of the UI and the API, and start nothing."""

    @property
    def limits(self) -> dict[str, int]:
        """Runs at a time by work pool."""
        return {"cpu": self.cpu, "gpu": self.gpu, "train": self.train}

    @property
    def local_server(self) -> LocalServer:
        """The local server that these options describe."""
        return LocalServer(
            data=self.data_root.root,
            host=self.host,
            port=self.port,
            names=self.names,
            allow_commands=self.allow_commands,
        )


class DownOptions(Located):
    """End the server and the workers that `valle up` started, with every flow run."""
