"""`atc tune`: this machine measured, for "auto" and the number of jobs."""

from __future__ import annotations

import click

from .answers import Answer, Answering, say


@click.command("tune", cls=Answering)
@click.option("--seconds", type=float, default=45.0, show_default=True, help="How long it may take, about.")
@click.option("--dry-run", is_flag=True, help="Measure, but keep nothing.")
@click.option("--show", is_flag=True, help="Only say what holds now.")
@click.option("--forget", is_flag=True, help="Only remove what was measured.")
def command(seconds: float, dry_run: bool, show: bool, forget: bool) -> Answer:
    """Measure what is fastest on this machine, for "auto".

    From where on worker processes, the GPU and the disk pay, and how many threads. Later calls follow it;
    docs/tuning.md says what each figure means. Run it while the machine has nothing else to do.
    """
    from ..crossovers import forget_tuning, found_in, tuning_file, tuning_folder

    if show + forget + dry_run > 1:
        raise click.UsageError("--dry-run, --show and --forget exclude each other", click.get_current_context())
    folder = tuning_folder()
    if forget:
        there = forget_tuning(folder)
        return Answer({"forgotten": there}, "forgotten" if there else "nothing was there")
    if show:
        found = found_in(folder)
        path = tuning_file(folder)
        document = {**found.crossovers.to_dict(), "why_not": found.why_not, "file": path}
        return Answer(document, found.why_not or f"{found.crossovers}\nkept     {path}")
    from ..tuning import tune

    tuning = tune(seconds, save=not dry_run, progress=say)
    return Answer(tuning.to_dict(), str(tuning))
