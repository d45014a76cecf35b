"""How long activities may take and how they are tried again, stated once."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType


class Options(TypedDict, total=False):
    """The part of an activity's options that is stated here; the summary is stated where it is called."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


READ = Options(
    start_to_close_timeout=timedelta(seconds=30),
    schedule_to_close_timeout=timedelta(minutes=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
    ),
)
"""Reading from Microsoft while nobody waits for the answer."""

WITHIN_UPDATE = Options(
    start_to_close_timeout=timedelta(seconds=8),
    schedule_to_close_timeout=timedelta(seconds=12),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500), backoff_coefficient=2, maximum_interval=timedelta(seconds=4)
    ),
)
"""Something a person waits for: it must have answered before the API's own time-out (15 s) does."""

SEND = Options(
    start_to_close_timeout=timedelta(seconds=12),
    schedule_to_close_timeout=timedelta(seconds=12),
    retry_policy=WITHIN_UPDATE["retry_policy"],
)
"""Writing to Microsoft while a person waits: an attempt that takes too long is the last one, because what it sent may
still arrive."""

FILE = Options(
    start_to_close_timeout=timedelta(minutes=10),
    schedule_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=timedelta(seconds=15),
    retry_policy=READ["retry_policy"],
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""Filing a ticket with its documents, which takes Azure minutes. Whoever cancels it, what is being sent is sent to its
end."""

MATCH = Options(**WITHIN_UPDATE, cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED)
"""Giving the claim a line: whoever cancels the claim meanwhile, it has to know what it was given."""

RECORD = Options(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
    ),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""Writing the claim's record: tried until the database takes it, because nothing may happen unrecorded. Whoever cancels
the claim meanwhile, the next version comes after this one."""

SWEEP = Options(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=timedelta(minutes=1),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), maximum_attempts=3),
)
"""A sweep; the schedule starts the next one anyway."""

RETRY_TROUBLE_AFTER = timedelta(minutes=15)
"""When work that only a person can unblock (a lapsed consent, a missing right) is tried again by itself."""
