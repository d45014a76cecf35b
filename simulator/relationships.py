"""Partner Center: the indirect resellers through whom the partner sells. There is one, Rita's, and it sells to the
customers with `has_reseller`.

Decided where the facts are silent: a listing without `relationship_type` is 400/3000, one of a type that nobody has is
empty; the listing of a customer gives its resellers, and writes their type in another spelling than the partner's.
"""

from fastapi import APIRouter, Request, Response

from simulator.gate import Gate
from simulator.partner_center import found_customer
from simulator.people import RESELLER_TENANT
from simulator.state import Cloud
from simulator.wire import PartnerCenterError, collection, link, reply

RESELLER_TYPE = "IsIndirectCloudSolutionProviderOf"


def relationship_wire(kind: str) -> dict[str, object]:
    """The partner's relationship with its reseller."""
    return {
        "id": RESELLER_TENANT.upper(),
        "name": "Rita's Resale",
        "relationshipType": kind,
        "state": "Active",
        "mpnId": "4847383",
        "location": "US",
        "attributes": {"objectType": "PartnerRelationship"},
    }


def router(cloud: Cloud, gate: Gate) -> APIRouter:
    """The paths of relationships."""
    routes = APIRouter(prefix="/v1", tags=["Partner Center"])

    @routes.get("/relationships")
    async def list_relationships(request: Request) -> Response:
        gate.check(request)
        asked = request.query_params.get("relationship_type")
        if not asked:
            raise PartnerCenterError(400, "3000", "The query parameter relationship_type is missing.")
        found = [relationship_wire(RESELLER_TYPE)] if asked.lower() == RESELLER_TYPE.lower() else []
        links: dict[str, object] = {"self": link(f"/relationships?relationship_type={asked}")}
        return reply(collection(found, len(found), links))

    @routes.get("/customers/{customer_id}/relationships")
    async def list_relationships_of_customer(request: Request, customer_id: str) -> Response:
        gate.check(request)
        customer = found_customer(cloud, customer_id)
        found = [relationship_wire("is_indirect_cloud_solution_provider_of")] if customer.has_reseller else []
        return reply(collection(found, len(found), {"self": link(f"/customers/{customer_id}/relationships")}))

    return routes
