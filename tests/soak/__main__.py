"""`python -m tests.soak`: a soak by hand, with a table and a JSON file at its end."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from tests.soak.report import as_table, write_json
from tests.soak.settings import DISTURBANCES, Limits, Settings
from tests.soak.soak import run_soak

STRICT = Limits()


@click.command()
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--clients", default=64, show_default=True)
@click.option("--seed", default=0, show_default=True, help="The same seed, the same requests.")
@click.option("--check-seconds", default=10.0, show_default=True, help="Between two checks.")
@click.option("--disturb-seconds", default=60.0, show_default=True, help="Between two faults.")
@click.option(
    "--disturb",
    default=",".join(DISTURBANCES[:-1]),
    show_default=True,
    help=f"Which faults, of {', '.join(DISTURBANCES)}; empty for none.",
)
@click.option("--health-ms", default=STRICT.health_p99, show_default=True)
@click.option("--refusal-ms", default=STRICT.refusal_p99, show_default=True)
@click.option("--cancel-ms", default=STRICT.cancel_p99, show_default=True)
@click.option("--recovery-ms", default=STRICT.recovery_beyond_load, show_default=True)
@click.option("--mb-per-minute", default=STRICT.megabytes_per_minute, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), default=Path("soak.json"))
@click.option("--folder", type=click.Path(path_type=Path), help="For model and logs; kept.")
@click.argument("server_options", nargs=-1)
def main(
    server_options: tuple[str, ...],
    json_path: Path,
    folder: Path | None,
    disturb: str,
    **numbers: float,
) -> None:
    """A server under load with faults; exit code 1 if an invariant did not hold.

    What follows `--` are options of the server: `-- --workers 2`.
    """
    kinds = tuple(kind for kind in disturb.split(",") if kind)
    if unknown := set(kinds) - set(DISTURBANCES):
        raise click.BadParameter(f"no such fault: {', '.join(sorted(unknown))}")
    names = ("health_ms", "refusal_ms", "cancel_ms", "recovery_ms", "mb_per_minute")
    settings = Settings(
        numbers["minutes"],
        int(numbers["clients"]),
        int(numbers["seed"]),
        numbers["check_seconds"],
        numbers["disturb_seconds"],
        kinds,
        Limits(*(numbers[name] for name in names)),
    )
    folder = folder or Path(tempfile.mkdtemp(prefix="cria-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(words: str) -> None:
        click.echo(f"{time.monotonic() - began:7.1f} s  {words}")

    figures = run_soak(settings, folder, say, server_options)
    write_json(figures, json_path)
    click.echo(f"\n{as_table(figures)}\n\nfigures: {json_path}; logs: {folder}")
    raise SystemExit(bool(figures.problems))


if __name__ == "__main__":
    main()
