"""How an activity says no: refusals for the person who asked, and Microsoft's failures in Temporal's terms."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.model import Refusal, Refused
from microsoft.errors import (
    Ambiguous,
    Conflict,
    ConsentExpired,
    ConsentMissing,
    Forbidden,
    Malformed,
    MicrosoftError,
    NotFound,
    Rejected,
    StaleETag,
    SupportPlanTooLow,
    Throttled,
    Unavailable,
)

REFUSED = "refused"
DUPLICATE_CLAIM = "duplicate_claim"
MICROSOFT_UNAVAILABLE = "microsoft_unavailable"

_LOOK_AGAIN_AFTER = timedelta(seconds=30)
"""What was written may not be seen at once; a repetition that looks first gives it this long."""

_TYPES: dict[type[MicrosoftError], str] = {
    Throttled: "throttled",
    NotFound: "not_found",
    Unavailable: MICROSOFT_UNAVAILABLE,
    Ambiguous: "ambiguous",
    Conflict: "conflict",
    StaleETag: "stale_etag",
    Malformed: "malformed",
    Rejected: "rejected",
    Forbidden: "forbidden",
    ConsentExpired: "consent_expired",
    ConsentMissing: "consent_missing",
    SupportPlanTooLow: "support_plan_too_low",
}
_FINAL = (Rejected, Forbidden, ConsentExpired)


def refused(refusal: Refusal) -> ApplicationError:
    """The refusal as the workflow hands it on: type `refused`, the refusal as its only detail, never retried."""
    return ApplicationError(refusal.message, refusal.model_dump(mode="json"), type=REFUSED, non_retryable=True)


@contextmanager
def told() -> Iterator[None]:
    """Turns what the domain and Microsoft raise inside it into an `ApplicationError`.

    `Refused` becomes `refused`. Of Microsoft's failures, the type is the exception's name in snake_case, but
    `microsoft_unavailable` for `Unavailable`. Rejected, Forbidden and ConsentExpired are final; the others are
    retried: when Microsoft asks for it, NotFound ("not yet") as benign, Ambiguous not before a while.
    """
    try:
        yield
    except Refused as error:
        raise refused(error.refusal) from None
    except MicrosoftError as error:
        raise failure(error) from error


def failure(error: MicrosoftError) -> ApplicationError:
    """The failure of a call to Microsoft, as `told` describes."""
    # A pause of nothing would repeat it without end and at once; Temporal's own grows.
    pause = error.retry_after or None
    if isinstance(error, Ambiguous):
        pause = max(pause or _LOOK_AGAIN_AFTER, _LOOK_AGAIN_AFTER)
    benign = isinstance(error, NotFound)
    return ApplicationError(
        str(error),
        type=_TYPES.get(type(error), "microsoft_error"),
        non_retryable=isinstance(error, _FINAL),
        next_retry_delay=pause,
        category=ApplicationErrorCategory.BENIGN if benign else ApplicationErrorCategory.UNSPECIFIED,
    )
