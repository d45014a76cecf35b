"""Every setting, read once from the environment (``CLAIMDESK_…``) when a process starts.

How to reach Temporal isn't here: that is Temporal's own ``TEMPORAL_…``, see :mod:`runtime.temporal`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "CLAIMDESK_"


class SettingsError(ValueError):
    """A setting is missing or wrong. The text names the variable and what it takes, never the value it had."""


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("give an address like https://host or http://127.0.0.1:8481")
    return value.rstrip("/")


_DATABASE_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


def _database_address(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in _DATABASE_DRIVERS:
        raise ValueError("give postgresql://user:password@host:5432/database or sqlite:////folder/file.db")
    return f"{_DATABASE_DRIVERS[scheme]}://{rest}"


def _blob_address(value: str) -> str:
    if urlsplit(value).scheme not in ("file", "memory", "s3", "azure", "az", "abfss", "gs"):
        raise ValueError("give file:///folder, s3://bucket/prefix, azure://container/prefix, gs://bucket/prefix")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("give a zone of the IANA database, like Europe/Berlin or UTC") from error
    return value


def _country(value: str) -> str:
    # Only a partner who sets a country pays for loading the calendars.
    from holidays import list_supported_countries

    if value not in list_supported_countries():
        raise ValueError("give the two letters of a country (ISO 3166), like DE or US; leave it out for weekends only")
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """The settings of one process. Build it with :func:`load_settings`; tests may pass fields by name."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    data_dir: Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())] = Field(
        Path(".claimdesk"), description="Folder for everything kept on this machine: database, documents, dev server."
    )
    database_url: Annotated[str, AfterValidator(_database_address)] = Field(
        default_factory=lambda data: f"sqlite+aiosqlite:///{data['data_dir']}/claimdesk.db",
        repr=False,
        description="The database of records: postgresql://… or sqlite:///…; by default a file in the data folder.",
    )
    blob_url: Annotated[str, AfterValidator(_blob_address)] = Field(
        default_factory=lambda data: (data["data_dir"] / "blobs").as_uri(),
        repr=False,
        description="Where documents are kept: file:///…, s3://…, azure://… or gs://…; by default in the data folder.",
    )

    api_host: str = Field("127.0.0.1", description="Address the API listens on.")
    api_port: Port = Field(8480, description="Port the API listens on.")
    api_url: WebAddress = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data['api_port']}",
        description="The API that the command line talks to; by default the one on this machine.",
    )
    simulator_host: str = Field("127.0.0.1", description="Address the simulated Microsoft listens on.")
    simulator_port: Port = Field(8481, description="Port the simulated Microsoft listens on.")
    worker_metrics_host: str = Field("127.0.0.1", description="Address the worker's Prometheus metrics listen on.")
    worker_metrics_port: Port = Field(8482, description="Port of the worker's Prometheus metrics.")

    temporal_port: Port = Field(7233, description="Port of the Temporal dev server that `claimdesk up` starts.")
    temporal_ui_port: Port = Field(8233, description="Port of that dev server's web UI.")
    temporal_ui_url: WebAddress = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data['temporal_ui_port']}",
        description="The Temporal UI that links to runs point at.",
    )
    temporal_retention_days: Annotated[int, Field(ge=1)] = Field(
        30, description="Days a Temporal server of one's own keeps closed runs (`python -m runtime.namespace` sets it)."
    )
    task_queue: Annotated[str, Field(min_length=1)] = Field(
        "claimdesk", description="Temporal task queue that the worker polls."
    )

    partner_center_url: WebAddress = Field(
        "https://api.partnercenter.microsoft.com", description="Partner Center's REST API."
    )
    azure_url: WebAddress = Field(
        "https://management.azure.com", description="Azure Resource Manager: support tickets and reservations."
    )
    graph_url: WebAddress = Field(
        "https://graph.microsoft.com", description="Microsoft Graph: reconciliation exports of new commerce invoices."
    )
    login_url: WebAddress = Field(
        "https://login.microsoftonline.com", description="Microsoft Entra ID, for tokens to Microsoft's APIs."
    )
    partner_tenant_id: str | None = Field(None, description="The partner's own Entra tenant, by id.")
    client_id: str | None = Field(None, description="Application (client) id registered for Partner Center.")
    client_secret: SecretStr | None = Field(None, description="That application's secret.")
    refresh_token_file: Path | None = Field(
        None, description="File holding the refresh token of the partner's service account; rewritten when it changes."
    )

    auth_issuer: str | None = Field(None, description="The `iss` a caller's token must have.")
    auth_audience: str | None = Field(None, description="The `aud` a caller's token must have.")
    auth_jwks_url: WebAddress | None = Field(None, description="Where the issuer publishes its signing keys (JWKS).")
    login_tenant: str | None = Field(None, description="Tenant that `claimdesk login` signs in to.")
    login_client_id: str | None = Field(None, description="Application id that `claimdesk login` signs in with.")
    login_scope: str | None = Field(None, description="Scope that `claimdesk login` asks a token for.")

    partner_name: str = Field("", description="The partner's name, as it stands in the packet for Microsoft.")
    contact_name: str | None = Field(
        None, description="Whom Microsoft writes to about tickets of claims that the customer or a reseller opened."
    )
    contact_email: str | None = Field(None, description="That contact's e-mail address.")
    contact_time_zone: str = Field("UTC", description="Time zone of Microsoft's contacts, by its name in Windows.")
    contact_country: Annotated[str, Field(pattern="^[A-Za-z]{3}$")] = Field(
        "USA", description="Country of Microsoft's contacts, in three letters (ISO 3166 alpha-3)."
    )
    contact_language: str = Field("en-us", description="Language that Microsoft answers in, such as en-us or de-de.")
    partner_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="The partner's time zone (IANA): reminders come at 09:00 there."
    )
    partner_country: Annotated[str, AfterValidator(_country)] | None = Field(
        None,
        description="Country (ISO 3166) whose public holidays are no working days; without it, weekends only.",
    )

    ticket_sweep_seconds: PositiveInt = Field(300, description="Seconds between two sweeps of the open tickets.")
    credit_sweep_seconds: PositiveInt = Field(3600, description="Seconds between two readings of the invoices.")
    document_sweep_seconds: PositiveInt = Field(
        86400, description="Seconds between two sweeps of documents no claim refers to."
    )
    ticket_page_size: Annotated[int, Field(ge=1, le=1000)] = Field(
        200, description="Service requests read in one call to Partner Center."
    )
    invoice_page_size: Annotated[int, Field(ge=1, le=2000)] = Field(
        2000, description="Invoice lines read in one call; Partner Center gives at most 2000."
    )
    sweep_overdue_factor: Annotated[float, Field(gt=1)] = Field(
        3.0, description="A sweep whose last success is older than this many intervals raises the alarm."
    )
    update_timeout_seconds: PositiveFloat = Field(
        15.0, description="Seconds the API waits for a claim to take an action before it answers 503."
    )

    max_document_bytes: PositiveInt = Field(10 * 1024 * 1024, description="Largest document accepted, in bytes.")
    max_documents: PositiveInt = Field(50, description="Most documents one claim can have.")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe log entry shown.")
    log_format: Literal["json", "console"] = Field("console", description="Log as lines of JSON or for people to read.")


def load_settings(**values: Any) -> Settings:
    """Read the settings from the environment; `values` (by field name) go before it.

    Raises :class:`SettingsError`, which names every wrong variable and what it takes.
    """
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        # `from None`: the original's text would repeat what was typed, and that may be a secret.
        raise SettingsError(
            "\n".join(
                f"{variable(str(problem['loc'][0]))}: {problem['msg'].removeprefix('Value error, ')}"
                for problem in problems
                # A default that hangs on a wrong setting isn't a second mistake.
                if problem["type"] != "default_factory_not_called"
            )
        ) from None


def required(settings: Settings, name: str) -> str:
    """The text of an optional setting that this process can't do without (a secret is revealed).

    Raises :class:`SettingsError`, which names the variable.
    """
    value = getattr(settings, name)
    if value is None:
        raise SettingsError(f"{variable(name)} is not set: {Settings.model_fields[name].description}")
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def variable(name: str) -> str:
    """The environment variable that sets a field of :class:`Settings`."""
    return f"{PREFIX}{name.upper()}"


def variables() -> frozenset[str]:
    """Every environment variable that the settings know."""
    return frozenset(map(variable, Settings.model_fields))
