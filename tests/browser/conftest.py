"""A real Chromium, driven over its DevTools protocol, and what it notices of a page by itself.

One browser process serves the session; every tab has a browser context of its own, so no test sees another's cookies,
cache or network state.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from agent.lab.world import World
from agent.status.app import StatusServer
from agent.status.gate import Limits
from agent.status.sample import SampleSource
from agent.supervisor import die_with_parent
from agent.texts import Texts

STRANGER = "stranger.example"
"""A name that the browser, like the victim of DNS rebinding, resolves to this machine."""
_START_S = 20.0
_CALL_S = 15.0
_LOOK_AGAIN_S = 0.03
_TAIL_LINES = 30

# Runs in every document before its own scripts: what a poll from outside could miss is noted as it happens.
_WITNESS = """
(() => {
  const seen = { prices: [], states: [], stale: [], violations: [], texts: [] };
  Object.defineProperty(window, "witness", { value: seen });
  document.addEventListener("securitypolicyviolation",
    (e) => seen.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
  const note = (list, text) => { if (text && list.at(-1) !== text) list.push(text); };
  const look = () => {
    note(seen.prices, document.querySelector("[data-price]")?.textContent);
    note(seen.states, document.querySelector("[data-call] [data-state]")?.textContent);
    note(seen.stale, document.getElementById("stale")?.textContent);
    const html = document.documentElement?.outerHTML ?? "";
    if (seen.texts.at(-1) !== html) seen.texts.push(html);
  };
  const everything = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(look).observe(document, everything);
  addEventListener("DOMContentLoaded", look);
})();
"""


class BrowserError(Exception):
    """The browser did not start, or refused a command; the message names it."""


class Chromium:
    """The browser process. `tab()` opens a page in a context of its own."""

    def __init__(self, folder: Path, output: Path) -> None:
        self._profile, self._log = folder / "profile", folder / "chromium.log"
        self.output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._address = ""

    def start(self) -> None:
        """Start it and wait until it says where it listens."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--remote-debugging-port=0", f"--user-data-dir={self._profile}", "--disable-background-networking",
                    "--disable-component-update", "--disable-sync", "--no-first-run", "--no-default-browser-check",
                    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
                    f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1", "about:blank",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # made for this: calls one C function that is loaded before
            )  # fmt: skip
        told = self._profile / "DevToolsActivePort"
        deadline = time.monotonic() + _START_S
        while True:
            lines = told.read_text(encoding="ascii").splitlines() if told.exists() else []
            if len(lines) > 1:
                self._address = f"ws://127.0.0.1:{lines[0]}{lines[1]}"
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BrowserError(f"chromium did not start: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(_LOOK_AGAIN_S)

    def stop(self) -> None:
        """End it and everything that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @contextlib.asynccontextmanager
    async def tab(
        self, *, width: int = 1280, dark: bool = False, accept: str = "nb-NO,nb", script: bool = True
    ) -> AsyncIterator[Tab]:
        """An empty tab, `width` CSS pixels wide, whose user has these wishes."""
        # Chromium's answers may be large: a screenshot is one message.
        async with aiohttp.ClientSession() as http, http.ws_connect(self._address, max_msg_size=0) as socket:
            devtools = DevTools(socket)
            reader = asyncio.create_task(devtools.read())
            try:
                context = (await devtools.call("Target.createBrowserContext"))["browserContextId"]
                page = Tab(devtools, self.output)
                await page.begin(context)
                await page.shape(width, dark=dark)
                agent = (await devtools.call("Browser.getVersion"))["userAgent"]
                await page.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=accept)
                await page.call("Emulation.setScriptExecutionDisabled", value=not script)
                yield page
                await devtools.call("Target.disposeBrowserContext", browserContextId=context)
            finally:
                reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reader


class DevTools:
    """Commands and events of the DevTools protocol over one socket, many targets on it ("flat" sessions)."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.listeners: list[Any] = []

    async def read(self) -> None:
        async for message in self._socket:
            body = message.json()
            waiting = self._waiting.pop(body.get("id", 0), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(body)
            elif "method" in body:
                for listener in self.listeners:
                    listener(body["method"], body["params"])

    async def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(
            {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        )
        async with asyncio.timeout(_CALL_S):
            body = await answer
        if "error" in body:
            raise BrowserError(f"{method}: {body['error']['message']}")
        result: dict[str, Any] = body["result"]
        return result


class Tab:
    """One page, and everything that it complained of or asked for since it was opened."""

    def __init__(self, devtools: DevTools, output: Path) -> None:
        self._devtools, self._output = devtools, output
        self._session = ""
        self._clock_stops = 0
        self.complaints: list[str] = []
        """Console messages, uncaught exceptions and the browser's own log: errors and warnings."""
        self.asked: list[str] = []
        """Every address that the page asked for."""
        self.loads = 0
        """How often a document has been loaded."""
        self.opened_streams = 0
        """How many streams of events have been answered."""

    async def begin(self, context: str) -> None:
        target = await self._devtools.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self._devtools.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        self._devtools.listeners.append(self._happened)
        for domain in ("Page", "Runtime", "Network", "Log", "Audits", "DOM"):
            await self.call(f"{domain}.enable")
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=_WITNESS)

    def _happened(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Runtime.consoleAPICalled":
                self.complaints.append(f"console.{params['type']}: {params['args']}")
            case "Runtime.exceptionThrown":
                self.complaints.append(f"exception: {params['exceptionDetails']}")
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(f"log: {params['entry']['text']} {params['entry'].get('url', '')}")
            case "Audits.issueAdded":
                self.complaints.append(f"issue: {params['issue']}")
            case "Network.responseReceived" if params["type"] == "EventSource":
                self.opened_streams += 1
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
            case "Emulation.virtualTimeBudgetExpired":
                self._clock_stops += 1
            case "Page.loadEventFired":
                self.loads += 1

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One DevTools command to this page."""
        return await self._devtools.call(method, self._session, **params)

    async def open(self, address: str) -> None:
        """Go there and wait until it is loaded."""
        before = self.loads
        answer = await self.call("Page.navigate", url=address)
        assert not answer.get("errorText"), f"{address}: {answer['errorText']}"
        await self.loaded(before)

    async def loaded(self, before: int, within_s: float = 10) -> None:
        """Wait for the load of a document after load number `before`."""

        async def later() -> bool:
            return self.loads > before

        await self.until("a loaded document", later, within_s)

    async def shape(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Give the window a width in CSS pixels and the user a taste."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = "dark" if dark else "light"
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page (a promise is waited for)."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def sees(self, what: str, expression: str, within_s: float = 10) -> Any:
        """The value of `expression` once it is true; `what` names it in the failure."""

        async def look() -> Any:
            # Between two documents there is nothing to ask.
            with contextlib.suppress(BrowserError):
                return await self.ask(expression)

        return await self.until(what, look, within_s)

    async def until(self, what: str, look: Callable[[], Awaitable[Any]], within_s: float = 10) -> Any:
        """What `look` returns as soon as it is something; `what` names it in the failure."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = await look()
                    if found:
                        return found
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            pass
        await self.picture("failed")
        shown = await self.ask("document.body?.innerText")
        pytest.fail(f"within {within_s:g} s the browser did not show {what}; it shows:\n{shown}", pytrace=False)

    async def text(self, selector: str) -> str:
        """What a reader sees in an element."""
        found = await self.ask(f"document.querySelector({selector!r})?.innerText")
        assert found is not None, f"no element {selector}"
        return str(found)

    async def clock_runs_ahead(self, seconds: float) -> None:
        """Let the page's clock, and with it its timers, run ahead as fast as they can."""
        before = self._clock_stops
        await self.call(
            "Emulation.setVirtualTimePolicy", policy="pauseIfNetworkFetchesPending", budget=round(seconds * 1000)
        )

        async def stopped() -> bool:
            return self._clock_stops > before

        await self.until("the end of its virtual time", stopped)

    async def click(self, selector: str) -> None:
        """The mouse on the middle of an element."""
        x, y = await self.ask(
            f"(({{ left, top, width, height }}) => [left + width / 2, top + height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def streams(self, count: int, within_s: float = 15) -> None:
        """Wait until the page has heard from the adapter over its stream number `count`."""

        async def opened() -> bool:
            return self.opened_streams >= count

        await self.until(f"stream number {count}", opened, within_s)

    async def press(self, key: str, code: int) -> None:
        """One key, down and up. `code` is its Windows virtual key code, which the protocol asks for."""
        text = {"Enter": "\r"}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )  # fmt: skip

    async def roles(self) -> list[tuple[str, str]]:
        """Role and name of everything that assistive software is told of."""
        tree = await self.call("Accessibility.getFullAXTree")
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree["nodes"]
            if not node.get("ignored")
        ]

    async def picture(self, name: str) -> Path:
        """A screenshot of the whole page, `tests/output/page-NAME.png`."""
        # A window as high as the page has no scroll bar, which the picture would leave out.
        width, height, whole, dark = await self.ask(
            "[innerWidth, innerHeight, document.documentElement.scrollHeight,"
            " matchMedia('(prefers-color-scheme: dark)').matches]"
        )
        await self.shape(width, whole, dark=dark)
        shot = await self.call("Page.captureScreenshot", format="png")
        await self.shape(width, height, dark=dark)
        self._output.mkdir(exist_ok=True)
        path = self._output / f"page-{name}.png"
        path.write_bytes(base64.b64decode(shot["data"]))
        return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failure in a real world shows what its processes said last."""
    report: pytest.TestReport = yield
    if report.failed and call.excinfo is not None:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, World):
                for path in sorted((value.scene.folder / "logs").glob("*.log")):
                    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                    report.sections.append((path.name, "\n".join(lines[-_TAIL_LINES:])))
    return report


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Chromium]:
    """The session's browser."""
    folder = tmp_path_factory.mktemp("chromium")
    browser = Chromium(folder, repository / "tests" / "output")
    try:
        browser.start()
        yield browser
    finally:
        browser.stop()
        shutil.rmtree(folder, ignore_errors=True)


class SamplePage:
    """The real server of the page over a sample adapter that a test changes."""

    def __init__(self) -> None:
        self.source = SampleSource()
        self.port = 0
        self._server: StatusServer | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def start(self, **limits: Any) -> None:
        """Serve, on the same port as before where there was one."""
        self._server = StatusServer(
            self.source, texts=Texts.load(), zone=ZoneInfo("Europe/Oslo"), port=self.port, limits=Limits(**limits)
        )
        await self._server.start()
        self.port = self._server.port

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None


@pytest.fixture
def stranger() -> str:
    """A foreign name that leads here."""
    return STRANGER


@pytest.fixture
async def sample() -> AsyncIterator[SamplePage]:
    """A page with everything on it, served."""
    page = SamplePage()
    await page.start()
    yield page
    await page.stop()
