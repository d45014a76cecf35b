"""What can go wrong between us and Microsoft, as plain exceptions.

Pure: no I/O, nothing of httpx. A message names the operation, the host, the status, Microsoft's own code and
its correlation id (what Microsoft's support asks for). It never holds a token, a body we sent, or a whole answer.
"""

# ruff: noqa: N818 - the names say what happened; MicrosoftError is the one that means "error"

from datetime import timedelta

LONGEST_DESCRIPTION = 300


class MicrosoftError(Exception):
    """A call to Microsoft that didn't give what it was asked for.

    `status` is the HTTP status, None when no answer came; `code` is Microsoft's, "" when it gave none. A code means
    something only together with its status: 2006 is one thing as a 403 and another as a 400 (facts B, errors).
    `retry_after` is how long Microsoft asks us to wait, None where it doesn't say.
    """

    def __init__(
        self,
        operation: str,
        host: str,
        *,
        status: int | None = None,
        code: str = "",
        description: str = "",
        correlation_id: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        self.operation = operation
        self.host = host
        self.status = status
        self.code = shorten(code)[:80]
        self.description = shorten(description)
        self.correlation_id = correlation_id
        self.retry_after = retry_after
        answer = "no answer" if status is None else f"HTTP {status}"
        if self.code:
            answer += f", code {self.code}"
        message = f"{operation} at {host}: {answer}"
        if self.description:
            message += f": {self.description}"
        if correlation_id:
            message += f" (correlation id {correlation_id})"
        super().__init__(message)


class Throttled(MicrosoftError):
    """Too many requests (429). Nothing was done; ask again after `retry_after`, which is never None."""

    retry_after: timedelta


class NotFound(MicrosoftError):
    """There is no such thing, or not yet: what was just written can take minutes to be seen."""


class Forbidden(MicrosoftError):
    """The token was refused, or this user or application lacks the right (401, 403)."""


class Conflict(MicrosoftError):
    """Something else is under way on the same thing (409)."""


class StaleETag(MicrosoftError):
    """The resource changed since it was read: read it again. Partner Center says so as 400 with code 2055."""


class ConsentExpired(MicrosoftError):
    """Entra ID no longer accepts our refresh token, or there is none. Only a person can put it right:
    the description says what to do."""


class ConsentMissing(ConsentExpired):
    """This tenant doesn't let us in: the application has no consent for this API there (AADSTS65001), or a customer's
    rules or missing account keep our service account out. Other tenants are not touched by it."""


class Rejected(MicrosoftError):
    """Microsoft understood and refused; asking again the same way gets the same answer."""


class SupportPlanTooLow(Rejected):
    """Azure takes support tickets by API from higher support plans only. Mostly told inside an operation that answers
    HTTP 200; the same ticket can be filed by hand in the portal."""


class Unavailable(MicrosoftError):
    """The service can't be used now: no connection, or a 5xx to a read. Nothing was changed; ask again later."""


class Ambiguous(MicrosoftError):
    """A write was sent and its outcome isn't known: the answer was lost, unreadable, or a 5xx. Look at what is true at
    Microsoft before sending it again."""


class Malformed(MicrosoftError):
    """An answer that isn't what it must be: not JSON, cut short, too long, or a field of the wrong kind."""


def shorten(text: str) -> str:
    """`text` on one line, at most LONGEST_DESCRIPTION characters, all of which can be written down."""
    printable = (each if each.isprintable() else " " for each in text[: 4 * LONGEST_DESCRIPTION])
    line = " ".join("".join(printable).split())
    return line if len(line) <= LONGEST_DESCRIPTION else line[: LONGEST_DESCRIPTION - 1] + "…"
