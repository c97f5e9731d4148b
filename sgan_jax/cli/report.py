"""`report`: a page of a run, or table and plot of sweeps."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sgan_jax.cli.flags import File, Int
from sgan_jax.errors import UserError

if TYPE_CHECKING:
    from sgan_jax.sweep import table

PORT = 8000


@dataclass(frozen=True)
class Report:
    """Make a page of a run, or a table and a plot of sweeps, out of their files; needs no JAX and trains nothing."""

    run: File = None
    """Run directory; by default runs/latest."""
    sweep: tuple[Path, ...] = ()
    """Sweep directories instead, reported together; the files are written into the first."""
    out: File = None
    """HTML file of a run; by default report.html in the run directory."""
    serve: bool = False
    """Show the page of a run, as it trains, to a browser on this machine, until Ctrl-C."""
    port: Int = None
    """Where --serve listens, on 127.0.0.1; by default 8000, 0 takes a free one."""

    def __call__(self) -> int:
        """Runs the command."""
        if self.sweep:
            if self.run or self.out or self.serve or self.port is not None:
                raise UserError("‹sweep›: makes only a table and a plot; leave ‹run›, ‹out›, ‹serve› and ‹port› out")
            from sgan_jax.sweep import table

            show(table.report(*self.sweep))
        elif self.serve:
            if self.out:
                raise UserError("‹serve›: shows the page and writes no file; leave ‹out› out")
            self._serve()
        elif self.port is not None:
            raise UserError("‹port›: is where ‹serve› listens; give that, too, or leave ‹port› out")
        else:
            from sgan_jax.report import page

            print(page.report(self.run, self.out))
        return 0

    def _serve(self) -> None:
        from sgan_jax.report.serve import page_server

        with page_server(self.run, PORT if self.port is None else self.port) as server:
            print(f"{server.url} (Ctrl-C ends it)", flush=True)
            try:
                server.serve_forever(poll_interval=0.2)
            except KeyboardInterrupt:
                print()


def show(report: "table.Report") -> None:
    """Prints the report on a sweep's trials."""
    print(f"\n{report.text}", end="", flush=True)
    print(f"\ntable: {report.table_file}\nplot: {report.plot_file}")
