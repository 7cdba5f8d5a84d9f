"""Settings: one frozen tree, read once in a composition root.

Strongest first: arguments, RINGCRAFT_* variables (RINGCRAFT_SERVING__CONSOLE_PORT), ringcraft.toml, defaults.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from data_contracts.errors import UsageError
from data_contracts.schedule import ScheduledFlow

SETTINGS_FILE = "ringcraft.toml"
_ACCOUNT_BYTES = 127


class MlflowSettings(BaseModel, frozen=True, extra="forbid"):
    """Where models are registered."""

    uri: str = Field(default="http://127.0.0.1:5000", description="Tracking and registry server, over HTTP.")
    experiment: str = Field(default="ringcraft", description="Experiment that training runs are logged to.")
    folder: Path = Field(default=Path(".ringcraft/mlflow"), description="Store of the server that `ringcraft up` runs.")
    timeout_s: float = Field(default=5.0, gt=0, description="Longest wait for one answer.")


class ServedModel(BaseModel, frozen=True, extra="forbid"):
    """A registered model that the tier follows."""

    name: str = Field(min_length=1, max_length=100, description="Registered model in MLflow.")
    instruments: tuple[str, ...] = Field(default=(), description="VENUE:SYMBOL it decides on; empty: all it is fed.")
    in_flight_max: int | None = Field(
        default=None, ge=1, description="Requests for it that a door may have in flight; none: any."
    )


class ApiKey(BaseModel, frozen=True, extra="forbid"):
    """Who may ask a worker's doors."""

    name: str = Field(min_length=1, max_length=100, description="Also the account that a policy may assign by.")
    secret: SecretStr = Field(min_length=16, description="Sent as: Authorization: Bearer SECRET.")
    scopes: tuple[Literal["read", "infer"], ...] = Field(default=("read", "infer"), description="What it may do.")
    requests_per_second: float | None = Field(default=None, gt=0, description="A second's worth at once; none: any.")

    @field_validator("name")
    @classmethod
    def _fits_a_question(cls, name: str) -> str:
        if len(name.encode()) > _ACCOUNT_BYTES:  # of native/client/ringcraft_client.hpp
            raise ValueError(f"expected at most {_ACCOUNT_BYTES} bytes, got {len(name.encode())}")
        return name


class BreakerSettings(BaseModel, frozen=True, extra="forbid"):
    """When a version that fails is no longer asked; 0 of any of the first three: not looked at."""

    failed_of_64: int = Field(default=16, ge=0, le=64, description="Of a version's last 64 answers, that failed.")
    late_of_64: int = Field(default=0, ge=0, le=64, description="Of them, over the latency budget.")
    same_in_a_row: int = Field(default=100_000, ge=0, description="Equal outputs in a row while the inputs differ.")
    probes: int = Field(default=8, ge=1, le=1000, description="Good answers that close a half-open breaker.")
    open_ms: int = Field(default=1000, ge=1, description="From opening to the first probe.")
    champion_open: Literal["last_champion", "abstain"] = Field(
        default="last_champion", description="Who answers for the champion: the last one while it is held, or nobody."
    )


class InFlightSettings(BaseModel, frozen=True, extra="forbid"):
    """How many requests for decisions may wait for their answers at a door; more are refused at once; none: any."""

    rest: int | None = Field(default=None, ge=1, description="Of all connections, in one turn of the decision thread.")
    grpc: int | None = Field(default=None, ge=1, le=16, description="Of all calls and streams.")
    websocket: int | None = Field(default=None, ge=1, description="Of all connections; each has one at most.")
    zeromq: int | None = Field(default=None, ge=1, le=64, description="Of all sockets, in one turn of the door.")


class TlsSettings(BaseModel, frozen=True, extra="forbid"):
    """What a server shows of itself, in PEM."""

    certificate: Path = Field(description="Its certificate, with those between it and the authority behind it.")
    key: Path = Field(description="The certificate's private key, without a pass phrase.")
    authority: Path | None = Field(
        default=None, description="Who signed it, for the commands that call the server; none: whom the system trusts."
    )


class ServingSettings(BaseModel, frozen=True, extra="forbid"):
    """How the serving tier runs."""

    host: str = Field(default="127.0.0.1", description="Address every port listens on.")
    feed_port: int = Field(default=8083, ge=0, le=65_535, description="Market events in; 0: any free.")
    rest_port: int = Field(default=8080, ge=0, le=65_535, description="REST; 0: any free.")
    api_keys: tuple[ApiKey, ...] = Field(
        default=(), description="Who may ask; empty: everybody who can reach the port."
    )
    instrument_requests_per_second: float | None = Field(
        default=None, gt=0, description="Requests that name one instrument, a second's worth at once; none: any."
    )
    shed_after_us: tuple[int, int, int] = Field(
        default=(1000, 5000, 20_000),
        description="A request that waited longer gets no shadow scores, no challenger, no answer but an abstention.",
    )
    in_flight_max: InFlightSettings = InFlightSettings()
    breakers: BreakerSettings = BreakerSettings()
    console_port: int = Field(default=8090, ge=0, le=65_535, description="Console, admin, /metrics; 0: any free.")
    console_tls: TlsSettings | None = Field(default=None, description="Console over TLS alone; none: in clear.")
    console_hosts: tuple[str, ...] = Field(
        default=(), description="Names, without port, that the console may be called by beside loopback's."
    )
    registry_poll_ms: int = Field(default=500, ge=50, description="Alias map poll.")
    heartbeat_timeout_ms: int = Field(
        default=2000, ge=100, description="Without the controller for so long, every share returns to the champion."
    )
    worker_core: int = Field(default=-1, ge=-1, description="Core the decision thread is pinned to; -1: none.")
    shadow_core: int = Field(default=-1, ge=-1, description="Core the shadow thread is pinned to; -1: none.")
    lock_memory: bool = Field(default=False, description="Keep the worker's memory from being paged out.")
    busy_poll: bool = Field(default=False, description="The decision thread never sleeps: a core for microseconds.")
    shadow_deadline_ms: int = Field(
        default=2000, ge=1, description="A shadow score that waited longer is dropped and counted."
    )
    allow_arm_override: bool = Field(default=False, description="A feed may ask for an arm; for tests, never judged.")
    doors: tuple[Literal["grpc", "websocket", "zeromq"], ...] = Field(
        default=(), description="Doors in processes of their own, over the worker's shared memory."
    )
    grpc_port: int = Field(default=8081, ge=0, le=65_535, description="Open Inference Protocol; 0: any free.")
    zeromq_port: int = Field(default=8082, ge=0, le=65_535, description="Questions over ZeroMQ; 0: any free.")
    zeromq_publish_port: int = Field(default=8084, ge=0, le=65_535, description="Decisions over ZeroMQ; 0: any free.")
    websocket_port: int = Field(default=8085, ge=0, le=65_535, description="WebSocket; 0: any free.")
    websocket_kept: int = Field(
        default=65_536, ge=1, le=10_000_000, description="Decisions a WebSocket subscriber may be behind and miss none."
    )
    models: tuple[ServedModel, ...] = Field(default=(), description="Models that are followed.")
    policy: Path = Field(default=Path("policy.toml"), description="Rollout policy.")

    def console_url(self, port: int | None = None) -> str:
        """Return the console's address, without a slash behind; port None: the one that is set."""
        scheme = "https" if self.console_tls else "http"
        return f"{scheme}://{self.host}:{self.console_port if port is None else port}"

    @property
    def model_limits(self) -> dict[str, int]:
        """Requests in flight at a door, of the models that have a limit, by name."""
        return {model.name: model.in_flight_max for model in self.models if model.in_flight_max is not None}


class OutcomeSettings(BaseModel, frozen=True, extra="forbid"):
    """Where posted outcomes are kept."""

    url: SecretStr = Field(
        default=SecretStr(""),
        description="postgresql://USER@HOST/DATABASE, one database a tier; empty: SQLite in the state folder. "
        "The password belongs in RINGCRAFT_OUTCOMES__URL, PGPASSWORD or ~/.pgpass rather than in a file.",
    )


class ArchiveSettings(BaseModel, frozen=True, extra="forbid"):
    """The journal in Parquet, by day."""

    journal_days: float | None = Field(
        default=None, gt=0, description="Days of event time that stay in the journal once archived; absent: all."
    )
    every_hours: float = Field(
        default=24.0, gt=0, description="How often the controller has the journal archived, where pyarrow is there."
    )


class StoreSettings(BaseModel, frozen=True, extra="forbid"):
    """Where recordings and the latest values are kept; nothing here is needed to serve."""

    archive_dir: Path = Field(default=Path(".ringcraft/recordings"), description="Parquet by day and instrument.")


class InfluxSettings(BaseModel, frozen=True, extra="forbid"):
    """InfluxDB 3, or another receiver of line protocol."""

    url: str = Field(default="", pattern="^(https?://.+)?$", description="http://HOST:8181; empty: none.")
    database: str = Field(default="ringcraft", min_length=1, description="Made by the server when first written to.")
    token: SecretStr = Field(
        default=SecretStr(""), description="Belongs in RINGCRAFT_INFLUXDB__TOKEN rather than in a file."
    )
    api: Literal["v3", "v2"] = Field(default="v3", description="v2: any receiver of /api/v2/write; cannot be read.")
    spool_mib: int = Field(default=1024, ge=1, description="What may wait on the disk for the server.")


class RedisSettings(BaseModel, frozen=True, extra="forbid"):
    """The latest book, features and decision of each key."""

    url: SecretStr = Field(
        default=SecretStr(""),
        description="redis://HOST:6379/0; empty: none. With a password it belongs in RINGCRAFT_REDIS__URL.",
    )
    prefix: str = Field(default="ringcraft", min_length=1, description="Of every key.")
    ttl_s: float = Field(default=60.0, gt=0, description="How long a value is kept after it was written.")


class ZeroMqSettings(BaseModel, frozen=True, extra="forbid"):
    """Topics by ZeroMQ PUB."""

    address: str = Field(default="", description="tcp://127.0.0.1:8085, for example; empty: none.")
    encoding: Literal["msgpack", "json"] = Field(default="msgpack", description="Of messages.")
    queue_max: int = Field(default=100_000, ge=1, description="Messages that wait for a slow subscriber.")


class KafkaSettings(BaseModel, frozen=True, extra="forbid"):
    """Topics in Kafka."""

    servers: str = Field(default="", description="HOST:PORT, several with commas; empty: none.")
    prefix: str = Field(default="ringcraft", min_length=1, description="Of the topics.")
    encoding: Literal["msgpack", "json"] = Field(default="msgpack", description="Of messages.")
    queue_max: int = Field(default=100_000, ge=1, description="Messages that wait for the brokers.")
    options: tuple[str, ...] = Field(default=(), description="librdkafka's own: security.protocol=SSL, for example.")


class NotifySettings(BaseModel, frozen=True, extra="forbid"):
    """Who is told of ends of rollouts, alarms and pauses; RINGCRAFT_NOTIFY_SECRET signs what the webhook gets."""

    webhook_url: str = Field(default="", pattern="^(https?://.+)?$", description="Gets a POST for each; empty: none.")
    command: tuple[str, ...] = Field(default=(), description="Program and arguments; gets JSON on standard input.")
    command_timeout_s: float = Field(default=30.0, gt=0, description="Then it is killed, and tried again.")
    prefect_api_url: str = Field(
        default="", pattern="^(https?://.+)?$", description="http://127.0.0.1:4200/api, for example; empty: no events."
    )
    timeout_s: float = Field(default=5.0, gt=0, description="Longest wait for one answer.")
    queue_max: int = Field(default=1000, ge=1, description="Notices that wait; the oldest ones beyond are given up.")


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="RINGCRAFT_", env_nested_delimiter="__", extra="forbid", toml_file=SETTINGS_FILE, frozen=True
    )

    state_dir: Path = Field(default=Path(".ringcraft"), description="Journal, versions, history, line-up.")
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="JSON logs on stderr.")
    mlflow: MlflowSettings = MlflowSettings()
    serving: ServingSettings = ServingSettings()
    outcomes: OutcomeSettings = OutcomeSettings()
    archive: ArchiveSettings = ArchiveSettings()
    stores: StoreSettings = StoreSettings()
    influxdb: InfluxSettings = InfluxSettings()
    redis: RedisSettings = RedisSettings()
    zeromq: ZeroMqSettings = ZeroMqSettings()
    kafka: KafkaSettings = KafkaSettings()
    notify: NotifySettings = NotifySettings()
    prefect_port: int = Field(default=4200, ge=1, le=65_535, description="Prefect server that `up` starts.")
    schedules: tuple[ScheduledFlow, ...] = Field(default=(), description="Flows that run by the clock or on an event.")
    learners: int = Field(default=1, ge=1, description="Steps that learn at a time, of all flows of `schedule`.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic passes all sources by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, strongest first."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(file: Path | None = None, **arguments: object) -> Settings:
    """Return the settings from arguments, environment and `file` (default: ringcraft.toml where it is there).

    Raises:
        UsageError: the file is missing though named, or a value is unknown, mistyped or out of bounds.
    """
    if file is not None and not file.is_file():
        raise UsageError(f"settings file {file}: no such file")

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file or SETTINGS_FILE)

    try:
        loaded = _FromFile(**arguments)  # type: ignore[arg-type]  # validated by pydantic
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"settings: {where}: {first['msg']}, got {first['input']!r}") from None
    except ValueError as error:  # a file that is not TOML
        raise UsageError(f"settings: {file or SETTINGS_FILE}: {error}") from None
    return loaded
