"""The options of `valle up` and `valle down`."""

from pydantic import Field

from flows.parameters import Located


class UpOptions(Located):
    """Start a Prefect server, a worker per work pool, and register all deployments; what is up already stays up."""

    host: str = "127.0.0.1"
    """Address the server listens on; 0.0.0.0 lets other machines in, and anybody else."""
    port: int = Field(default=4200, ge=1, le=65535)
    """Port of the server and its UI."""
    cpu: int = Field(default=2, ge=1)
    """Runs at a time in the pool `cpu`, on all machines together."""
    gpu: int = Field(default=1, ge=1)
    """Runs at a time in the pool `gpu`."""
    train: int = Field(default=1, ge=1)
    """Runs at a time in the pool `train`."""

    @property
    def limits(self) -> dict[str, int]:
        """Runs at a time by work pool."""
        return {"cpu": self.cpu, "gpu": self.gpu, "train": self.train}


class DownOptions(Located):
    """End the server and the workers that `valle up` started, and everything they run."""
