"""`hotdash demo`: the stand-in store on its own.

Belongs here: starting the stand-in from the command line. Does not belong here: the store (hotdash_pipelines.demo).
"""

from typing import Annotated

import typer

app = typer.Typer(help="The stand-in store: Shopify, Chatwoot, GA4 and Slack on loopback.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `serve` a sub-command while it is the only one."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Loopback address to listen on; any other is refused.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free port.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Seed of the world; the same seed gives the same store.")] = None,
    scale: Annotated[float | None, typer.Option(help="1 is about 10,000 orders a day.")] = None,
    rough: Annotated[
        str | None, typer.Option(help="usual, calm or all, then kinds such as ,-late_touches or ,+late_touches=0.5.")
    ] = None,
    now: Annotated[
        str | None, typer.Option(help="Freeze the virtual clock (ISO 8601); else it follows real time.")
    ] = None,
) -> None:
    """Serve the stand-in store until Ctrl-C. The pipeline finds it by itself while no credentials are set."""
    from datetime import UTC, datetime

    from hotdash_pipelines.cli.output import WrongUsage
    from hotdash_pipelines.demo.clock import VirtualClock
    from hotdash_pipelines.demo.roughness import Roughness
    from hotdash_pipelines.demo.serve import serve as run
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    frozen = datetime.fromisoformat(now) if now else None
    if frozen is not None and frozen.tzinfo is None:
        frozen = frozen.replace(tzinfo=UTC)
    try:
        roughness = Roughness.read(settings.demo_roughness if rough is None else rough)
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    run(
        host=host,
        port=port,
        seed=settings.demo_seed if seed is None else seed,
        scale=settings.demo_scale if scale is None else scale,
        clock=VirtualClock(frozen),
        endpoint_file=settings.demo_endpoint_file,
        roughness=roughness,
    )
