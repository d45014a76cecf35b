"""The simulated Entra ID: token endpoints v1 and v2, device sign-in, keys and discovery.

Where it stands apart from Microsoft's, on purpose:
- One issuer, the partner tenant's, whichever tenant's path a token is fetched from; `tid` is the user's home tenant,
  for Azure the tenant of the path. A customer without `has_consented` refuses Azure tokens (AADSTS65001).
- The app registration is confidential and allows public client flows: device sign-in asks no secret, and neither does
  a refresh token that came from it; client credentials and every other refresh token do.
- A `login_hint` in the device code request that names a test user approves at once, for scripts.
"""

import html
import secrets
import uuid
from datetime import timedelta
from typing import NoReturn

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from simulator.models import Customer, DeviceCode, RefreshToken
from simulator.people import (
    AZURE,
    CLIENT_ID,
    CLIENT_SECRET,
    GRAPH,
    PARTNER_CENTER,
    PARTNER_TENANT,
    RESELLER_TENANT,
    USERS,
    User,
)
from simulator.state import Cloud
from simulator.tokens import Signer
from simulator.wire import reply

SIGN_IN_SCOPES = {"openid", "profile", "email", "offline_access"}
OTHER_RESOURCES = {GRAPH, "https://graph.windows.net", AZURE}
REFRESH_TOKEN_IDLE = timedelta(days=90)
DEVICE_CODE_SECONDS = 900
DEVICE_POLL_SECONDS = 1


class EntraError(Exception):
    """An error in Entra's shape: an OAuth code, and an AADSTS number that says more."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(f"AADSTS{number}: {text}")
        self.status, self.error, self.number, self.text = status, error, number, text

    def response(self, timestamp: str) -> Response:
        """The error as it goes over the wire."""
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        description = (
            f"AADSTS{self.number}: {self.text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
        )
        body = {
            "error": self.error,
            "error_description": description,
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        }
        return reply(body, self.status)


class Entra:
    """The rules of the token endpoints, apart from their paths."""

    def __init__(self, cloud: Cloud, signer: Signer) -> None:
        self.cloud, self.signer = cloud, signer

    def base(self, request: Request) -> str:
        """Where this process is reached: as configured, else as the caller reached it."""
        return (self.cloud.config.base_url or str(request.base_url)).rstrip("/")

    def check_tenant(self, tenant: str) -> None:
        """Refuses a tenant that isn't known here."""
        known = {PARTNER_TENANT, RESELLER_TENANT, "common", "organizations"}
        if tenant.lower() not in known and self.cloud.store.get(Customer, tenant) is None:
            raise EntraError(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")

    def resource(self, text: str) -> str:
        """The resource asked for, if it is one. Raises `invalid_resource`."""
        asked = text.rstrip("/")
        if asked not in {PARTNER_CENTER, self.cloud.config.audience} | OTHER_RESOURCES:
            raise EntraError(
                400, "invalid_resource", 500011, f"The resource principal named {text} was not found in the tenant."
            )
        return asked

    def resource_of_scopes(self, scopes: list[str]) -> str | None:
        """The resource that the scopes belong to; none when they only ask for a sign-in."""
        for scope in scopes:
            if scope not in SIGN_IN_SCOPES:
                return self.resource(scope.rpartition("/")[0])
        return None

    def check_client(self, form: FormData, *, public: bool) -> None:
        """Refuses an unknown app or a wrong secret; no secret is fine only where a public client may ask."""
        if field(form, "client_id").lower() != CLIENT_ID:
            raise EntraError(400, "unauthorized_client", 700016, "Application was not found in the directory.")
        secret = field(form, "client_secret")
        if not secret and not public:
            raise EntraError(
                401, "invalid_client", 7000218, "The request body must contain: 'client_assertion' or 'client_secret'."
            )
        if secret and not secrets.compare_digest(secret, CLIENT_SECRET):
            raise EntraError(401, "invalid_client", 7000215, "Invalid client secret provided.")

    def redeem_refresh_token(self, form: FormData) -> RefreshToken:
        """The refresh token of the form, used just now. It stays valid; a new one is given out beside it."""
        stored = (
            self.cloud.store.get(RefreshToken, field(form, "refresh_token")) if field(form, "refresh_token") else None
        )
        self.check_client(form, public=stored is not None and stored.public)
        # ids match whatever their case, tokens don't
        if stored is None or stored.id != field(form, "refresh_token"):
            raise EntraError(400, "invalid_grant", 70000, "Provided grant is invalid or malformed.")
        if self.cloud.now() - stored.last_used > REFRESH_TOKEN_IDLE:
            raise EntraError(400, "invalid_grant", 700082, "The refresh token has expired due to inactivity.")
        used = stored.model_copy(update={"last_used": self.cloud.now()})
        self.cloud.write_now(used)
        return used

    def redeem_device_code(self, form: FormData) -> DeviceCode:
        """The approved sign-in of the form's device code. Raises `authorization_pending` until somebody approves."""
        self.check_client(form, public=True)
        stored = self.cloud.store.get(DeviceCode, field(form, "device_code")) if field(form, "device_code") else None
        if stored is None or stored.redeemed:
            raise EntraError(400, "invalid_grant", 54005, "The device code is unknown or was already redeemed.")
        if self.cloud.now() >= stored.expires_at:
            raise EntraError(
                400, "expired_token", 70020, "The provided value for the input parameter 'device_code' has expired."
            )
        if stored.user is None:
            raise EntraError(
                400, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending."
            )
        self.cloud.write_now(stored.model_copy(update={"redeemed": True}))
        return stored

    def new_refresh_token(self, user: str, resource: str, *, public: bool) -> str:
        """A refresh token nobody has seen."""
        token = "0." + secrets.token_urlsafe(48)
        self.cloud.write_now(
            RefreshToken(id=token, user=user, resource=resource, public=public, last_used=self.cloud.now())
        )
        return token

    def check_consent(self, tenant: str, audience: str) -> None:
        """Refuses Azure tokens for a customer's tenant in which nobody consented to the app."""
        customer = self.cloud.store.get(Customer, tenant)
        if audience == AZURE and customer is not None and not customer.has_consented:
            raise EntraError(
                400,
                "invalid_grant",
                65001,
                f"The user or administrator has not consented to use the application with ID '{CLIENT_ID}'.",
            )

    def tokens(self, base: str, form: FormData, *, tenant: str, v1: bool) -> dict[str, object]:
        """The answer of a token endpoint. Raises `EntraError`."""
        scopes = field(form, "scope").split()
        asked = self.resource(field(form, "resource")) if v1 and field(form, "resource") else None
        user: User | None = None
        refresh = ""
        match field(form, "grant_type"):
            case "client_credentials":
                self.check_client(form, public=False)
                audience = asked or self.resource_of_scopes(scopes) or refuse_without_resource()
            case "refresh_token":
                old = self.redeem_refresh_token(form)
                audience = asked or self.resource_of_scopes(scopes) or old.resource
                user = USERS[old.user]
                refresh = self.new_refresh_token(old.user, audience, public=old.public)
            case "device_code" | "urn:ietf:params:oauth:grant-type:device_code":
                code = self.redeem_device_code(form)
                user, audience, scopes = USERS[code.user or ""], code.resource, code.scopes
                if "offline_access" in scopes:
                    refresh = self.new_refresh_token(user.upn, audience, public=True)
            case other:
                raise EntraError(
                    400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{other}'."
                )
        self.check_consent(tenant, audience)
        seconds = self.cloud.config.token_seconds
        now = int(self.cloud.now().timestamp())
        answer: dict[str, object] = {"token_type": "Bearer"}
        if user is not None:
            answer["scope"] = "user_impersonation" if v1 else " ".join(scopes)
        if v1:  # version 1 writes its numbers as strings
            answer |= {"expires_in": str(seconds), "ext_expires_in": str(seconds), "expires_on": str(now + seconds)}
            answer |= {"not_before": str(now), "resource": audience}
        else:
            answer |= {"expires_in": seconds, "ext_expires_in": seconds}
        answer["access_token"] = self.signer.token(base, audience, user, home(tenant))
        if refresh:
            answer["refresh_token"] = refresh
        if user is not None and "openid" in scopes:
            answer["id_token"] = self.signer.token(base, CLIENT_ID, user, home(tenant))
        return answer

    def begin_device_sign_in(self, base: str, form: FormData) -> dict[str, object]:
        """A device code; approved already when `login_hint` names a test user. Raises `EntraError`."""
        self.check_client(form, public=True)
        scopes = field(form, "scope").split()
        hint = field(form, "login_hint").lower()
        code = DeviceCode(
            id=secrets.token_hex(32),
            user_code="".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ23456789") for _ in range(9)),
            resource=self.resource_of_scopes(scopes) or self.cloud.config.audience,
            scopes=scopes,
            expires_at=self.cloud.now() + timedelta(seconds=DEVICE_CODE_SECONDS),
            user=hint if hint in USERS else None,
        )
        self.cloud.write_now(code)
        page = f"{base}/device"
        return {
            "user_code": code.user_code,
            "device_code": code.id,
            "verification_uri": page,
            "expires_in": DEVICE_CODE_SECONDS,
            "interval": DEVICE_POLL_SECONDS,
            "message": f"To sign in, open {page} in a web browser and enter the code {code.user_code} to authenticate.",
        }

    def approve(self, user_code: str, upn: str) -> str:
        """Approves a device sign-in as a test user; says in a sentence what came of it."""
        found = self.cloud.store.listed(DeviceCode, parent=user_code.strip())
        if not found or found[0].redeemed or self.cloud.now() >= found[0].expires_at:
            return "That code isn't one that is waiting. Check it, or ask the program for a new one."
        if upn not in USERS:
            return "That isn't a test user."
        self.cloud.write_now(found[0].model_copy(update={"user": upn}))
        return f"Done: the program goes on as {upn}. You may close this page."


def home(tenant: str) -> str:
    """The tenant that a path names; the partner's for those that stand for any."""
    return PARTNER_TENANT if tenant.lower() in ("common", "organizations") else tenant.lower()


def field(form: FormData, name: str) -> str:
    """A text field of a form; empty when missing."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def refuse_without_resource() -> NoReturn:
    """Raises the error for a request that names nothing to get a token for."""
    raise EntraError(400, "invalid_request", 900144, "The request body must contain the following parameter: 'scope'.")


def device_page(user_code: str, message: str = "") -> HTMLResponse:
    """The page where a person approves a device sign-in."""
    choices = "".join(
        f'<option value="{user.upn}">{html.escape(user.name)}, {", ".join(user.roles)} ({user.upn})</option>'
        for user in USERS.values()
    )
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in to the simulated cloud</title>'
        "<style>body{font:1rem/1.5 system-ui;max-width:34rem;margin:3rem auto;padding:0 1rem}"
        "label,select,input,button{display:block;font:inherit;margin:.4rem 0;width:100%}</style>"
        f'<h1>Sign in</h1><p role="status">{html.escape(message)}</p><form method="post" action="/device">'
        f'<label>Code <input name="user_code" required autofocus value="{html.escape(user_code, quote=True)}"></label>'
        f'<label>Test user <select name="user">{choices}</select></label><button>Approve</button></form>'
    )


def router(entra: Entra) -> APIRouter:
    """The paths of the simulated Entra ID."""
    routes = APIRouter(tags=["Entra ID"])

    @routes.post("/{tenant}/oauth2/token")
    async def token_v1(tenant: str, request: Request) -> Response:
        entra.check_tenant(tenant)
        return no_store(reply(entra.tokens(entra.base(request), await request.form(), tenant=tenant, v1=True)))

    @routes.post("/{tenant}/oauth2/v2.0/token")
    async def token_v2(tenant: str, request: Request) -> Response:
        entra.check_tenant(tenant)
        return no_store(reply(entra.tokens(entra.base(request), await request.form(), tenant=tenant, v1=False)))

    @routes.post("/{tenant}/oauth2/v2.0/devicecode")
    async def device_code(tenant: str, request: Request) -> Response:
        entra.check_tenant(tenant)
        return no_store(reply(entra.begin_device_sign_in(entra.base(request), await request.form())))

    @routes.get("/device")
    async def show_device_page(user_code: str = "") -> Response:
        return device_page(user_code)

    @routes.post("/device")
    async def approve_device(request: Request) -> Response:
        form = await request.form()
        return device_page("", entra.approve(field(form, "user_code"), field(form, "user")))

    @routes.get("/{tenant}/discovery/v2.0/keys")
    async def keys(tenant: str) -> Response:
        entra.check_tenant(tenant)
        return reply(entra.signer.jwks())

    @routes.get("/{tenant}/v2.0/.well-known/openid-configuration")
    async def discovery(tenant: str, request: Request) -> Response:
        entra.check_tenant(tenant)
        base = entra.base(request)
        return reply(
            {
                "issuer": entra.signer.issuer(base),
                "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
                "response_types_supported": ["id_token", "token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "claims_supported": [
                    "sub",
                    "iss",
                    "aud",
                    "exp",
                    "iat",
                    "oid",
                    "tid",
                    "name",
                    "preferred_username",
                    "roles",
                ],
            }
        )

    return routes


def no_store(response: Response) -> Response:
    """Tokens aren't for caches."""
    response.headers["Cache-Control"] = "no-store"
    return response
