"""`phoenix trace`: the documents that training steps saw, from the run's order plan and trace index."""

import click

from phoenix_assets.cli.home import as_json, open_lake
from phoenix_assets.cli.main import main


class _Steps(click.ParamType[tuple[int, int]]):
    """`A:B`, both included, or one step."""

    name = "A:B"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return the first and the last step."""
        first, _, last = value.partition(":")
        if not (first.isdigit() and (last or first).isdigit()):
            self.fail(f"{value!r} is neither a step nor steps A:B", param, ctx)
        return int(first), int(last or first)


@main.command()
@click.argument("experiment")
@click.option("--steps", type=_Steps(), required=True, help="Steps A to B, from 1; or one step.")
@click.option("--json", is_flag=True, help="Machine-readable, with every span of tokens.")
def trace(experiment: str, steps: tuple[int, int], json: bool) -> None:
    """Print the documents in the global batches of EXPERIMENT's steps: token spans, deliveries, licences."""
    from phoenix_assets.audit.render import steps_text
    from phoenix_assets.audit.trace import trace_steps

    found = trace_steps(*open_lake(), experiment, *steps)
    click.echo(as_json(found) if json else steps_text(found))
