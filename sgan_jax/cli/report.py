"""`report`: a page of a run, or table and plot of sweeps."""

from dataclasses import dataclass
from pathlib import Path

from sgan_jax.cli.flags import File, Int
from sgan_jax.errors import UserError

PORT = 8000


@dataclass(frozen=True)
class Report:
    """Make a page of a run, or table and plot of sweeps, from what they left; without JAX, and nothing is trained."""

    run: File = None
    """Run directory; by default runs/latest."""
    sweep: tuple[Path, ...] = ()
    """Sweep directories instead, taken together; what is made is written into the first."""
    out: File = None
    """HTML file of a run; by default report.html in the run directory."""
    serve: bool = False
    """Show the page of a run that goes on to a browser on this machine, until Ctrl-C."""
    port: Int = None
    """Where --serve listens, on 127.0.0.1; by default 8000, 0 takes a free one."""

    def __call__(self) -> int:
        """Runs the command."""
        if self.sweep:
            if self.run or self.out or self.serve or self.port is not None:
                raise UserError("--sweep: has table and plot alone; leave --run, --out, --serve and --port out")
            from sgan_jax.sweep import table

            return table.report(*self.sweep)
        if self.serve:
            if self.out:
                raise UserError("--serve: shows the page and writes no file; leave --out out")
            from sgan_jax.report import serve

            return serve.serve(self.run, PORT if self.port is None else self.port)
        if self.port is not None:
            raise UserError("--port: is where --serve listens; give that, too, or leave --port out")
        from sgan_jax.report import page

        return page.report(self.run, self.out)
