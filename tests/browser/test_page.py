"""The page over a sample adapter, in a real browser: readable, reachable and alive for everybody."""

from __future__ import annotations

import itertools

import pytest
from msgspec import structs

from agent.status.page import SECTIONS
from agent.status.sample import ABROAD, FIRST, OTHER, SECOND, healthy_snapshot, sample_snapshot

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.e2e]

# Contrast ratio by WCAG 2.2 §1.4.3 of every text and every generated text that is seen, over the ground that it
# stands on; returns those that are below 4.5:1.
PALE = r"""
(() => {
  const parse = (colour) => {
    const parts = colour.match(/[\d.]+/g).map(Number);
    return { rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1 };
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const { rgb, alpha } = parse(getComputedStyle(e).backgroundColor);
      if (alpha === 1) return rgb;
      if (alpha > 0) return null;
    }
    return null;
  };
  const ratio = (colour, element) => {
    const behind = ground(element), { rgb, alpha } = parse(colour);
    if (!behind || alpha < 1) return 0;
    const [a, b] = [luminance(rgb), luminance(behind)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  let looked = 0;
  const pale = [];
  const check = (colour, element, text) => {
    looked += 1;
    const found = ratio(colour, element);
    if (found < 4.5) pale.push(`${text} (${found.toFixed(2)}:1)`);
  };
  for (const element of document.body.querySelectorAll("*")) {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const own = [...element.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
    if (own) check(getComputedStyle(element).color, element, element.textContent.trim());
    for (const pseudo of ["::before", "::after"]) {
      const style = getComputedStyle(element, pseudo);
      if (!["none", "normal", '""'].includes(style.content)) check(style.color, element, pseudo + style.content);
    }
  }
  return { looked, pale };
})()
"""

FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"

# Text that its own box, or the window, cuts off.
CUT = r"""
[...document.body.querySelectorAll("*")].filter((e) => {
  if (e.closest(".hidden, .skip, thead") || !e.checkVisibility()) return false;
  const box = e.getBoundingClientRect();
  return box.right > document.documentElement.clientWidth + 0.5 || box.left < -0.5
    || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0
    && getComputedStyle(e).overflowX !== "visible";
}).map((e) => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 60)}`)
"""

# Rows whose cells do not name the column that they stand in, or that have no header of their own.
TABLES = r"""
[...document.querySelectorAll("table")].map((table) => {
  const columns = [...table.querySelectorAll("thead th[scope=col]")].map((th) => th.textContent.trim());
  const rows = [...table.querySelectorAll("tbody tr")];
  return {
    caption: table.caption?.textContent.trim() ?? "",
    columns: columns.length,
    nameless: columns.filter((name) => !name).length,
    bad: rows.filter((row) => row.cells.length !== columns.length || row.cells[0].scope !== "row"
      || [...row.cells].slice(1).some((cell, n) => cell.dataset.label !== columns[n + 1])).length,
    rows: rows.length,
  };
})
"""


@pytest.mark.parametrize("width", [320, 400, 1280])
async def test_page_is_readable_on_any_screen_by_day_and_night(chromium, sample, width):
    async with chromium.tab(width=width) as tab:
        await tab.open(sample.address)
        for dark in (False, True):
            await tab.shape(width, dark=dark)
            await tab.picture(f"sample-{width}-{'dark' if dark else 'light'}")
            assert await tab.ask(FITS), "the page scrolls sideways"
            assert await tab.ask(CUT) == []
            found = await tab.ask(PALE)
            assert found["looked"] > 100
            assert found["pale"] == []
            dark_ground = await tab.ask("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 100")
            assert dark_ground is dark
        assert tab.complaints == []


async def test_adapter_that_knows_nothing_yet_is_readable_too(chromium, sample):
    snapshot = sample_snapshot()
    await sample.source.show(type(snapshot)(at=snapshot.at, time_trusted=False))
    async with chromium.tab(width=400) as tab:
        await tab.open(sample.address)
        await tab.picture("sample-empty-400")
        assert await tab.ask(FITS)
        assert (await tab.ask(PALE))["pale"] == []
        assert "klokken er ikke bekreftet" in await tab.text("#headline")


@pytest.mark.parametrize("width", [400, 1280])
async def test_page_tells_assistive_software_what_is_what(chromium, sample, width):
    async with chromium.tab(width=width) as tab:
        await tab.open(sample.address)
        tables = await tab.ask(TABLES)
        assert [table["caption"] for table in tables] == ["Kostnader per nummer", "Siste samtaler", "Registreringer"]
        for table in tables:
            assert (table["nameless"], table["bad"]) == (0, 0), table
            assert table["columns"] >= 4
            assert table["rows"] >= 2
        roles = await tab.roles()
        kinds = [role for role, _ in roles]
        for landmark in ("banner", "main", "contentinfo"):
            assert kinds.count(landmark) == 1, landmark
        assert ("navigation", "Språk") in roles
        # Also where the style sheet lays the tables out as blocks they must stay tables.
        assert kinds.count("table") == 3
        assert ("columnheader", "Levert") in roles
        assert kinds.count("rowheader") == sum(table["rows"] for table in tables)
        regions = [name for role, name in roles if role == "region"]
        assert len(regions) == len(set(regions)) == len(SECTIONS) - 2
        assert all(regions)
        levels = await tab.ask("[...document.querySelectorAll('h1,h2,h3')].map((h) => Number(h.tagName[1]))")
        assert levels.count(1) == 1
        assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
        assert await tab.ask("document.images.length") == 0
        assert await tab.ask("new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size") == await tab.ask(
            "document.querySelectorAll('[id]').length"
        )


async def test_keyboard_skips_to_the_content(chromium, sample):
    async with chromium.tab(width=400) as tab:
        await tab.open(sample.address)
        await tab.press("Tab", 9)
        seen = await tab.ask(
            "(() => { const e = document.activeElement, b = e.getBoundingClientRect();"
            " return [e.textContent, b.left >= 0 && b.top >= 0 && b.width > 50]; })()"
        )
        assert seen == ["Til innholdet", True]
        assert (await tab.ask(PALE))["pale"] == []
        await tab.press("Enter", 13)
        await tab.sees("the content with the keyboard's focus", "document.activeElement.id === 'content'")
        assert await tab.ask("document.querySelector('.skip').getBoundingClientRect().right < 0")


async def test_languages_are_reached_with_the_keyboard(chromium, sample):
    async with chromium.tab() as tab:
        await tab.open(sample.address)
        for expected in ("Til innholdet", "Norsk", "English"):
            await tab.press("Tab", 9)
            assert await tab.ask("document.activeElement.textContent") == expected
            assert await tab.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        await tab.press("Enter", 13)
        await tab.sees("the English page", "document.documentElement.lang === 'en'")


@pytest.mark.parametrize(
    ("accept", "lang", "words"),
    [
        ("nb-NO,nb,en", "nb", "Pågående samtaler"),
        ("nn,en", "nb", "Pågående samtaler"),
        ("en-GB,en", "en", "Calls in progress"),
        ("de,fr", "nb", "Pågående samtaler"),
    ],
)
async def test_page_speaks_the_browsers_language_and_goes_on_in_it(chromium, sample, accept, lang, words):
    async with chromium.tab(accept=accept) as tab:
        await tab.open(sample.address)
        assert await tab.ask("document.documentElement.lang") == lang
        assert words in await tab.text("#calls")
        await sample.source.show(healthy_snapshot())
        told = {"nb": "Alt virker", "en": "Everything works"}[lang]
        await tab.sees("the news in its language", f"document.querySelector('#headline').innerText.includes({told!r})")


async def test_language_link_changes_everything_and_the_page_stays_live(chromium, sample):
    async with chromium.tab(accept="nb") as tab:
        await tab.open(sample.address)
        await tab.click("nav a[hreflang=en]")
        await tab.sees("the English page", "document.documentElement.lang === 'en'")
        assert await tab.ask("document.querySelector('nav a[aria-current]').textContent") == "English"
        await tab.sees("the English sample", "document.querySelector('#calls')?.innerText.includes('NOK 1.98')")
        await sample.source.show(healthy_snapshot())
        await tab.sees("live news", "document.querySelector('#calls').innerText.includes('No calls right now')")
        assert not await tab.ask("/[æøåÆØÅ]/.test(document.body.innerText)")
        await tab.click("nav a[hreflang=nb]")
        await tab.sees("the Norwegian page", "document.querySelector('#calls')?.innerText.includes('Ingen samtaler')")
        assert tab.complaints == []


async def test_page_is_whole_without_javascript_and_reloads_itself(chromium, sample):
    async with chromium.tab(script=False) as tab:
        await tab.open(f"{sample.address}?lang=en")
        for section in SECTIONS:
            assert await tab.text(f"#{section}"), section
        assert "NOK 1.98" in await tab.text("#calls")
        assert await tab.text("#stale") == ""
        assert not any("/events" in address for address in tab.asked), "the script ran"
        await sample.source.show(healthy_snapshot())
        before = tab.loads
        await tab.clock_runs_ahead(7)
        assert tab.loads == before, "it reloads itself while people are still reading"
        await tab.clock_runs_ahead(4)
        await tab.loaded(before)
        assert "Everything works" in await tab.text("#headline")
        assert tab.complaints == []


async def test_page_says_when_it_hears_nothing_and_recovers_by_itself(chromium, sample):
    async with chromium.tab(width=400) as tab:
        await tab.open(sample.address)
        await tab.streams(1)
        await sample.stop()
        await tab.sees(
            "that the page hears nothing", "document.querySelector('#stale').innerText.includes('kan være gammelt')"
        )
        assert "1,98" in await tab.text("#calls"), "what was known is still shown"
        assert (await tab.ask(PALE))["pale"] == []
        await tab.picture("sample-stale-400")
        await sample.source.show(healthy_snapshot())
        await sample.start()
        await tab.sees("the adapter again", "document.querySelector('#headline').innerText.includes('Alt virker')")
        assert await tab.text("#stale") == ""
        assert tab.loads == 1


async def test_stream_that_grows_old_is_renewed_without_alarm(chromium, sample):
    await sample.stop()
    await sample.start(stream_age_s=0.5)
    async with chromium.tab() as tab:
        await tab.open(sample.address)
        await tab.streams(3)
        assert await tab.ask("witness.stale") == []


async def test_adapter_that_lives_but_knows_nothing_new_is_not_called_current(chromium, sample):
    class Failing(type(sample.source)):
        async def snapshot(self):
            if self.taken > 2:
                raise OSError
            return await super().snapshot()

    await sample.stop()
    sample.source = Failing()
    await sample.start(heartbeat_s=0.2)
    async with chromium.tab() as tab:
        await tab.open(sample.address)
        await tab.sees("that it hears nothing", "document.querySelector('#stale').innerText.includes('gammelt')")


async def test_adapter_whose_changes_cannot_be_seen_is_not_called_silent(chromium, sample):
    await sample.stop()
    await sample.start(heartbeat_s=0.7)
    async with chromium.tab() as tab:
        await tab.open(sample.address)
        await tab.streams(1)
        # Every change comes before the next heartbeat would be due, for longer than the page waits.
        for taken in range(sample.source.taken, sample.source.taken + 10):

            async def rendered(taken=taken):
                return sample.source.taken > taken

            await sample.source.show(sample_snapshot())
            await tab.until("a look at the adapter", rendered)
        assert await tab.ask("witness.stale") == []


async def test_full_numbers_and_foreign_addresses_never_appear(chromium, sample):
    async with chromium.tab() as tab:
        await tab.open(sample.address)
        later = structs.replace(sample_snapshot(), calls=[])
        await sample.source.show(later)
        await tab.sees("the end of the call", "!document.querySelector('[data-call]')")
        for html in await tab.ask("witness.texts"):
            for number in (FIRST, SECOND, OTHER, ABROAD):
                assert number[3:] not in html.replace(" ", "")
        assert await tab.ask("witness.violations") == []
        assert {address.partition("/")[2].partition("/")[2].partition("/")[0] for address in tab.asked} == {
            f"127.0.0.1:{sample.port}"
        }
        assert tab.complaints == []


async def test_script_that_slipped_into_the_page_could_neither_run_nor_call_home(chromium, sample, stranger):
    async with chromium.tab() as tab:
        await tab.open(sample.address)
        await tab.ask(f"fetch('http://{stranger}:{sample.port}/').then(() => 1, () => 0)")
        await tab.ask(
            "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
            " document.body.append(s);"
            " document.body.setAttribute('onclick', 'window.ran = 1'); document.body.click(); return 0; })()"
        )
        await tab.sees("three violations", "witness.violations.length === 3")
        told = " ".join(await tab.ask("witness.violations"))
        assert "connect-src" in told
        assert "script-src-elem" in told
        assert "script-src-attr" in told
        assert await tab.ask("window.ran") is None
        assert any("Content Security Policy" in complaint for complaint in tab.complaints)


async def test_site_that_rebinds_its_name_to_the_adapter_reads_nothing(chromium, sample, stranger):
    async with chromium.tab() as tab:
        await tab.open(f"http://{stranger}:{sample.port}/")
        assert "Bruk adapterens adresse" in await tab.text("body")
        assert await tab.ask("fetch('/api/status.json').then((answer) => answer.status)") == 421
        assert sample.source.taken == 0
