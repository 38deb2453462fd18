"""One GET to Jaeger and its whole answer; whatever goes wrong becomes one SourceError.

What the answer means is for the callers.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from gentrace.core.errors import SourceError
from gentrace.core.otel_env import without_password
from gentrace.sources.jaeger import bodies
from gentrace.sources.jaeger.access import QUERY_PORT, Access

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
DAMAGED = "damaged JSON"
_CONNECT_S = 10.0
_LONGEST_KEPT = 20_000
_WHOLE_ANSWER = 20  # an answer that trickles may take so many time-outs in all
_MOST_BYTES = 256 * 1024**2  # of a decompressed body: as objects it takes ten times that
_ENCODINGS = ("", "identity", "gzip", "deflate")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its status and what it holds.

    Attributes:
        objects: the JSON objects of its body, one after the other; None where it is no JSON.
        kind: what the body is, in words.
        text: the body, of a fault or a short answer.
    """

    status: int
    objects: list[Any] | None
    kind: str
    text: str = ""

    @property
    def found(self) -> bool:
        """Jaeger answered with something."""
        return self.status == 200 and self.objects is not None

    @property
    def message(self) -> str:
        """What the answer says of a fault, on one line; empty where it says nothing."""
        said = bodies.fault(self.objects or ()) or ("" if "HTML" in self.kind else self.text)
        return " ".join(said.split())[:200]


class Client:
    """GETs below one address.

    Args:
        url: Jaeger's address with its base path.
        how: headers, TLS, time-out.

    Raises:
        SourceError: httpx is not installed, or the certificates cannot be read.
    """

    def __init__(self, url: str, how: Access) -> None:
        try:
            import httpx
        except ImportError:
            raise SourceError(
                "reading from a Jaeger needs httpx; install it with: pip install 'gentrace[cli]'"
            ) from None
        self.url, self.how = url, how
        self.shown = without_password(url)
        try:
            verify: Any = not how.insecure
            if how.ca_file and not how.insecure:
                verify = ssl.create_default_context(cafile=how.ca_file)
            self._http = httpx.AsyncClient(
                headers=[
                    *how.headers,
                    ("Accept", "application/json"),
                    ("Accept-Encoding", "gzip, deflate"),
                ],
                verify=verify,
                timeout=httpx.Timeout(how.timeout_s, connect=min(_CONNECT_S, how.timeout_s)),
            )
        except (OSError, ssl.SSLError) as exc:
            what = f"--ca-file {how.ca_file}" if how.ca_file else "SSL_CERT_FILE"
            raise SourceError(f"{what}: these certificates cannot be read: {exc}") from None
        except ValueError as exc:
            raise SourceError(f"the proxy in the environment cannot be used: {exc}") from None
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._serve, name="gentrace-jaeger", daemon=True)
        self._thread.start()

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """The answer to a GET.

        Raises:
            SourceError: there was none, not a whole one, or one that no caller can do anything
                with (401, 403, 429, 5xx, a redirection).
        """
        import httpx

        query = urlencode(parameters or {}, quote_via=quote)
        address = f"{self.url}{path}{'?' if query else ''}{query}"
        begun = False
        try:
            response = self._done(self._begun(address))
            begun = True
            body = self._done(self._whole(response))
        except (httpx.TimeoutException, TimeoutError) as exc:
            raise self._late(isinstance(exc, httpx.ConnectTimeout)) from None
        except httpx.InvalidURL as exc:
            raise SourceError(f"{self.shown} is no address: {exc}") from None
        except (httpx.HTTPError, ssl.SSLError) as exc:
            raise self._broken(exc, in_body=begun) from None
        answer = _answer(response.status_code, body)
        self._refused(answer, response.headers.get("location", ""))
        return answer

    def close(self) -> None:
        """Let the connections go."""
        if self._thread.is_alive():
            self._done(self._http.aclose())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _done(self, work: Coroutine[Any, Any, T]) -> T:
        """A coroutine's result, whether the caller has an event loop of its own or not.

        A deadline that holds for slow headers, too, needs a request that can be cancelled.
        """
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def strange(self, answer: Answer, asked: str) -> SourceError:
        """The fault that an answer of that kind is, for callers who wanted another."""
        said = f": {answer.message}" if answer.message else ""
        if answer.status != 200:
            return SourceError(
                f"Jaeger {self.shown} answered {asked} with HTTP {answer.status}{said}"
            )
        if answer.objects is None and "HTML" not in answer.kind:
            return SourceError(
                f"the answer of {self.shown} to {asked} is {answer.kind}: cut off, or not from "
                "Jaeger. Nothing of it is used; try again, with a smaller --since where that helps"
            )
        return SourceError(
            f"{self.shown} answered {asked} with {answer.kind}, which is not Jaeger's. Give the "
            f"address of its query service (port {QUERY_PORT}), with its base path if it has one"
        )

    async def _begun(self, address: str) -> httpx.Response:
        """The answer's headers, whole in time however slowly they come."""
        async with asyncio.timeout(min(_CONNECT_S, self.how.timeout_s) + self.how.timeout_s):
            return await self._http.send(self._http.build_request("GET", address), stream=True)

    async def _whole(self, response: httpx.Response) -> bytes:
        """The answer's body, whole in time and no larger than it may be."""
        try:
            encoding = response.headers.get("content-encoding", "").strip().lower()
            if encoding not in _ENCODINGS:  # one within another grows without bound
                raise SourceError(
                    f"{self.shown} answered with Content-Encoding {encoding!r}, which was not "
                    "asked for and is not read. Does a proxy between here and there add it?"
                )
            pieces: list[bytes] = []
            size = 0
            async with asyncio.timeout(self.how.timeout_s * _WHOLE_ANSWER):
                async for piece in response.aiter_bytes():
                    size += len(piece)
                    if size > _MOST_BYTES:
                        raise self._too_large()
                    pieces.append(piece)
            return b"".join(pieces)
        finally:
            await response.aclose()

    def _too_large(self) -> SourceError:
        return SourceError(
            f"an answer of Jaeger {self.shown} is larger than {_MOST_BYTES // 1024**2} MiB; "
            "nothing of it is used. Ask for less with --since or --limit; one trace that large "
            "is read from a file: the spool's, or the Collector's"
        )

    def _late(self, connecting: bool = False) -> SourceError:
        if connecting:
            return SourceError(
                f"Jaeger {self.shown} cannot be reached: no connection in time. Is the address "
                "right, and may this machine go there?"
            )
        return SourceError(
            f"Jaeger {self.shown} did not answer in time ({self.how.timeout_s:g} s of silence, "
            f"{self.how.timeout_s * _WHOLE_ANSWER:g} s for a whole answer). Ask for less with "
            "--since, or allow more with GENTRACE_SOURCE_TIMEOUT"
        )

    def _broken(self, exc: Exception, in_body: bool) -> SourceError:
        why = " ".join(str(exc).split()) or type(exc).__name__
        if in_body:
            return SourceError(
                f"the answer of Jaeger {self.shown} was cut off ({why}); nothing of it is used. "
                "Try again; a proxy between here and there may limit the size of answers"
            )
        if "CERTIFICATE_VERIFY_FAILED" in why:
            return SourceError(
                f"the certificate of {self.shown} is not trusted: {why}. Name its authority with "
                "--ca-file FILE or SSL_CERT_FILE, or trust any with --insecure"
            )
        if "SSL" in why or "TLS" in why:
            return SourceError(
                f"{self.shown} does not speak TLS as expected: {why}. Is it http:// instead?"
            )
        import httpx

        if isinstance(exc, httpx.ProtocolError):
            return SourceError(
                f"{self.shown} does not speak HTTP as Jaeger does ({why}). Is that its query "
                f"service's HTTP port ({QUERY_PORT}; {QUERY_PORT - 1} is gRPC), and http or https "
                "as there?"
            )
        return SourceError(
            f"Jaeger {self.shown} cannot be reached: {why}. Is it running, and is this its query "
            f"service's address (port {QUERY_PORT})?"
        )

    def _refused(self, answer: Answer, location: str) -> None:
        status = answer.status
        said = f" ({answer.message})" if answer.message else ""
        if status in (401, 403, 407):
            sent = ", ".join(name for name, _ in self.how.headers)
            raise SourceError(
                f"Jaeger {self.shown} refuses with HTTP {status}{said}. "
                + (f"The header {sent} was sent; is it still right?" if sent else
                   "Give what it asks for, such as --header 'Authorization=Bearer TOKEN', or set "
                   "GENTRACE_SOURCE_HEADERS")
            )  # fmt: skip
        if 300 <= status < 400:
            raise SourceError(
                f"{self.shown} sends us on to {without_password(location) or 'nowhere'} (HTTP "
                f"{status}): a page to log in at? Give the address of Jaeger itself, or --header"
            )
        if status == 429 or (status >= 500 and "search depth" not in answer.message):
            raise SourceError(
                f"Jaeger {self.shown} failed with HTTP {status}{said}. Its log says why; a search "
                "that is too big for its storage gets smaller with --since"
            )


def _answer(status: int, body: bytes) -> Answer:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Answer(status, None, "no text")
    try:
        kept = text if status != 200 or len(text) <= _LONGEST_KEPT else ""
        return Answer(status, bodies.objects(text), "JSON", kept)
    except ValueError:
        start = text.lstrip()[:200].lower()
        if "<html" in start or start.startswith("<!doctype"):
            return Answer(status, None, "a page (HTML)", text)
        kind = DAMAGED if start[:1] in ("{", "[") else "no JSON"
        return Answer(status, None, kind, text)
