"""`iplink-agent rate` and `plan`: what a call costs, and what a subscription is on a day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from agent.cli_base import DAY, CliError, Exit, json_option, lang_option, load_texts, prices_option, zone_of
from agent.core.announcement import Language

_SECONDS = click.IntRange(0, 10_000_000)


@click.command("rate")
@click.argument("number", metavar="NUMBER", help="As dialled: 22334455, 004681234567, +4681234567, 4681234567.")
@click.option("--product", required=True, help="privat, bedrift, sentralbord …")
@click.option("--duration", type=_SECONDS, required=True, help="Answered time in seconds.")
@json_option
@lang_option
@prices_option
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]),
    help="When the call is answered, on the clocks of --zone; default: now.",
)
@click.option("--zone", default="Europe/Oslo", help="Time zone of the price list's days and hours.")
@click.option("--pack", type=_SECONDS, default=0, help="Seconds left of a minute pack that holds for the number.")
def rate(
    number: str,
    product: str,
    duration: int,
    as_json: bool,
    lang: Language,
    prices: Path | None,
    at: datetime | None,
    zone: str,
    pack: int,
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
        click.echo(price_json(price, explanation))
    else:
        click.echo("\n".join(price_lines(price, explanation, lang, texts)))


@click.command("plan")
@click.option("--product", help="The product as the operator names it.")
@click.option("--numbers", type=click.IntRange(0, 10_000), default=1, help="Numbers of the subscription.")
@click.option("--given-up", type=click.IntRange(0), default=0, help="So many of them are given up on --notice.")
@click.option("--notice", type=DAY, help="Day of the notice; without --given-up for all of it.")
@click.option("--at", type=DAY, help="Civil day; default: today.")
@click.option("--agreement", is_flag=True, help="With a Business Support agreement.")
@json_option
@lang_option
@click.option("--zone", default="Europe/Oslo", help="Time zone in which days begin and end.")
def plan(
    product: str | None,
    numbers: int,
    given_up: int,
    notice: datetime | None,
    at: datetime | None,
    agreement: bool,
    as_json: bool,
    lang: Language,
    zone: str,
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
        click.echo(cli_plan.as_json(offered) if as_json else "\n".join(lines))
        return
    if product not in catalogue.ids():
        known = ", ".join(catalogue.ids())
        raise CliError(f"--product: {product[:64]}: there is no such product; known are {known}", Exit.BAD_INPUT)
    asked = cli_plan.Asked(
        product=product, numbers=numbers, given_up=given_up, notice=notice.date() if notice is not None else None
    )
    found = cli_plan.answer(catalogue, asked, day, agreement=agreement)
    click.echo(cli_plan.as_json(found) if as_json else "\n".join(cli_plan.answer_lines(found, lang, texts)))
