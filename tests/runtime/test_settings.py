"""The settings as a person at the shell meets them: by variables, with errors that say what to do."""

from pathlib import Path

import pytest

from runtime.settings import Settings, SettingsError, load_settings, required, variables


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_any_variable_everything_is_local(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.data_dir == tmp_path / ".claimdesk"
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/.claimdesk/claimdesk.db"
    assert settings.blob_url == f"file://{tmp_path}/.claimdesk/blobs"
    assert {settings.api_host, settings.simulator_host, settings.worker_metrics_host} == {"127.0.0.1"}


def test_what_hangs_on_another_setting_follows_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAIMDESK_DATA_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("CLAIMDESK_API_PORT", "9001")
    monkeypatch.setenv("CLAIMDESK_TEMPORAL_UI_PORT", "9002")
    settings = load_settings()
    assert str(tmp_path / "elsewhere") in settings.database_url
    assert str(tmp_path / "elsewhere") in settings.blob_url
    assert settings.api_url == "http://127.0.0.1:9001"
    assert settings.temporal_ui_url == "http://127.0.0.1:9002"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://root@127.0.0.1:5432/test", "postgresql+psycopg://root@127.0.0.1:5432/test"),
        ("postgres://u:p%40ss@db/claims?sslmode=require", "postgresql+psycopg://u:p%40ss@db/claims?sslmode=require"),
        ("postgresql+psycopg://db/claims", "postgresql+psycopg://db/claims"),
        ("sqlite:////data/claims.db", "sqlite+aiosqlite:////data/claims.db"),
    ],
)
def test_a_database_address_gets_its_driver(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    monkeypatch.setenv("CLAIMDESK_DATABASE_URL", given)
    assert load_settings().database_url == used


@pytest.mark.parametrize(
    ("name", "value", "help_given"),
    [
        ("CLAIMDESK_DATABASE_URL", "mysql://desk:hunter2@db/claims", "postgresql://"),
        ("CLAIMDESK_BLOB_URL", "ftp://desk:hunter2@store", "s3://"),
        ("CLAIMDESK_API_PORT", "70000", "65535"),
        ("CLAIMDESK_PARTNER_ZONE", "Mars/Olympus", "Europe/Berlin"),
        ("CLAIMDESK_PARTNER_ZONE", "../../etc/passwd", "Europe/Berlin"),
        ("CLAIMDESK_PARTNER_COUNTRY", "Atlantis", "ISO 3166"),
        ("CLAIMDESK_PARTNER_CENTER_URL", "partnercenter", "https://"),
        ("CLAIMDESK_LOG_FORMAT", "xml", "'json' or 'console'"),
        ("CLAIMDESK_TICKET_SWEEP_SECONDS", "-5", "greater than 0"),
        ("CLAIMDESK_TICKET_SWEEP_SECONDS", "soon", "integer"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, help_given: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    text = str(refusal.value)
    assert text.startswith(f"{name}: ")
    assert help_given in text
    assert value not in text
    assert refusal.value.__suppress_context__


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAIMDESK_API_PORT", "none")
    monkeypatch.setenv("CLAIMDESK_PARTNER_ZONE", "none")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    # The API's address hangs on its port; that isn't a second mistake.
    assert [line.partition(":")[0] for line in str(refusal.value).splitlines()] == [
        "CLAIMDESK_API_PORT",
        "CLAIMDESK_PARTNER_ZONE",
    ]


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAIMDESK_PARTNER_COUNTRY", "")
    monkeypatch.setenv("CLAIMDESK_API_PORT", "")
    settings = load_settings()
    assert settings.partner_country is None
    assert settings.api_port == 8480


def test_a_dotenv_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CLAIMDESK_API_PORT=9999\n")
    assert load_settings().api_port == 8480


def test_no_secret_shows_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAIMDESK_CLIENT_SECRET", "hunter2")
    monkeypatch.setenv("CLAIMDESK_DATABASE_URL", "postgresql://desk:hunter2@db/claims")
    settings = load_settings()
    assert "hunter2" not in f"{settings!r} {settings}"
    assert required(settings, "client_secret") == "hunter2"


def test_a_setting_this_process_needs_is_asked_for_by_its_variable() -> None:
    with pytest.raises(SettingsError, match=r"^CLAIMDESK_AUTH_ISSUER is not set: .*iss"):
        required(load_settings(), "auth_issuer")


def test_settings_stay_as_they_were_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().api_port = 1  # type: ignore[misc] # that it is refused is what's tested


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
