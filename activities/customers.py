"""Triage: what Microsoft says of the customer and the subscription, and what follows from it for the claim."""

from datetime import datetime
from zoneinfo import ZoneInfo

from temporalio import activity

from domain.claims import Claim
from domain.lifecycle import Triaged
from domain.model import Frozen
from microsoft.partner_center import PartnerCenter
from records.credits import CreditRecords


class TriageRequest(Frozen):
    """The claim, and the instant (UTC) at which its route is decided."""

    claim: Claim
    now: datetime


class Customers:
    """Reads customers and subscriptions at Partner Center. `zone` is the partner's, for reminders; `country` the one
    (ISO 3166) whose public holidays are no working days, None for weekends only."""

    def __init__(
        self, partner_center: PartnerCenter, credit_records: CreditRecords, zone: ZoneInfo, country: str | None
    ) -> None:
        self._partner_center = partner_center
        self._records = credit_records
        self._zone = zone
        self._country = country

    @activity.defn(name="triage")
    async def triage(self, wanted: TriageRequest) -> Triaged:
        """The claim's route with its reasons, deadline, reminders, checklist and the credit to expect, all resolved.

        Reads only. Raises ApplicationError as `failures.told` says, and `refused` for a date no rule can count from.
        """
        raise NotImplementedError
