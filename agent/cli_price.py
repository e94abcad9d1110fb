"""`iplink-agent rate` and `plan`: what a call costs, and what a subscription is on a day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.cli_base import DAYS, CliError, Exit, JsonOption, load_texts, zone_of
from agent.texts import Language


def rate(
    number: Annotated[str, typer.Argument(help="As dialled: 22334455, 004681234567, +4681234567, 4681234567.")],
    product: Annotated[str, typer.Option("--product", help="privat, bedrift, sentralbord …")],
    duration: Annotated[int, typer.Option("--duration", min=0, max=10_000_000, help="Answered time in seconds.")],
    as_json: JsonOption = False,
    lang: Annotated[Language, typer.Option("--lang", help="Language of the explanation.")] = Language.EN,
    prices: Annotated[
        Path | None, typer.Option("--prices", metavar="DIR", help="Folder of price lists; default: the shipped ones.")
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
            help="When the call is answered, on the clocks of --zone; default: now.",
        ),
    ] = None,
    zone: Annotated[str, typer.Option("--zone", help="Time zone of the price list's days and hours.")] = "Europe/Oslo",
    pack: Annotated[
        int,
        typer.Option("--pack", min=0, max=10_000_000, help="Seconds left of a minute pack that holds for the number."),
    ] = 0,
) -> None:
    """Price a call with the same function that prices the records, and explain it line by line."""
    from agent.cli_show import price_json, price_lines
    from agent.clock import wall
    from agent.paths import data_dir
    from agent.rating.cli_rate import rate_report
    from agent.rating.errors import NoRate, PriceListError
    from agent.rating.rater import explain

    folder = data_dir() / "price-lists" if prices is None else prices
    civil = zone_of(zone)
    start = wall() if at is None else at.replace(tzinfo=civil)
    try:
        price = rate_report(number, product, duration, folder, start=start, zone=civil, pack_s=pack)
    except NoRate as error:
        raise CliError(f"no price ({error.reason}): {error}", Exit.FAILED) from error
    except PriceListError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error
    except OSError as error:
        raise CliError(f"{folder}: {error.strerror or error}; give a folder of price lists", Exit.BAD_INPUT) from error
    texts = load_texts()
    explanation = explain(price, lang, texts)
    if as_json:
        typer.echo(price_json(price, explanation))
    else:
        typer.echo("\n".join(price_lines(price, explanation, lang, texts)))


def plan(
    product: Annotated[str | None, typer.Option("--product", help="The product as the operator names it.")] = None,
    numbers: Annotated[int, typer.Option("--numbers", min=0, max=10_000, help="Numbers of the subscription.")] = 1,
    given_up: Annotated[int, typer.Option("--given-up", min=0, help="So many of them are given up on --notice.")] = 0,
    notice: Annotated[
        datetime | None,
        typer.Option("--notice", formats=DAYS, help="Day of the notice; without --given-up for all of it."),
    ] = None,
    at: Annotated[datetime | None, typer.Option("--at", formats=DAYS, help="Civil day; default: today.")] = None,
    agreement: Annotated[bool, typer.Option("--agreement", help="With a Business Support agreement.")] = False,
    as_json: JsonOption = False,
    lang: Annotated[Language, typer.Option("--lang", help="Language of the answer.")] = Language.EN,
    zone: Annotated[str, typer.Option("--zone", help="Time zone in which days begin and end.")] = "Europe/Oslo",
) -> None:
    """Show what a subscription is on a day: product, what it became, last day, customer service. Or all products."""
    from agent import cli_plan
    from agent.clock import wall
    from agent.data import DataError, load_products

    if given_up > numbers or (given_up and notice is None):
        raise CliError("--given-up: give --notice with it, and no more numbers than --numbers", Exit.BAD_INPUT)
    day = (wall().astimezone(zone_of(zone)) if at is None else at).date()
    try:
        catalogue = load_products()
    except DataError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error
    texts = load_texts()
    if product is None:
        offered = cli_plan.products_on(catalogue, day)
        lines = [cli_plan.product_line(one, lang, texts) for one in offered]
        typer.echo(cli_plan.as_json(offered) if as_json else "\n".join(lines))
        return
    if product not in catalogue.ids():
        known = ", ".join(catalogue.ids())
        raise CliError(f"--product: {product[:64]}: there is no such product; known are {known}", Exit.BAD_INPUT)
    asked = cli_plan.Asked(
        product=product, numbers=numbers, given_up=given_up, notice=notice.date() if notice is not None else None
    )
    found = cli_plan.answer(catalogue, asked, day, agreement=agreement)
    typer.echo(cli_plan.as_json(found) if as_json else "\n".join(cli_plan.answer_lines(found, lang, texts)))
