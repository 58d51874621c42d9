"""The image and the compose file, as far as they can be judged without a Docker engine.

Belongs here: linters with planted violations, and the promises of docs/how-to/deploy-with-docker.md.
Does not belong here: starting the services' commands (tests/integration/test_production_commands.py).
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from hotdash_pipelines.local.serve import code_server_command, daemon_command, webserver_command
from hotdash_pipelines.settings import PROJECT_ROOT, Settings, every_setting

BIN = Path(sys.executable).parent
DOCKERFILE = PROJECT_ROOT / "docker" / "Dockerfile"
COMPOSE = PROJECT_ROOT / "docker" / "compose.yaml"
WORKSPACE = "/opt/hotdash/dagster/workspace.yaml"
LOCKS = ("requirements.lock", "requirements-bootstrap.lock", "docker/requirements.lock")


@pytest.fixture
def services() -> dict[str, Any]:
    return services_of(COMPOSE.read_text())


def services_of(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)["services"]


def instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, arguments) of a Dockerfile, continuation lines joined, comments left out."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def final_stage(text: str) -> list[tuple[str, str]]:
    found = instructions(text)
    begins = [index for index, (word, _) in enumerate(found) if word == "FROM"]
    return found[begins[-1] :]


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    return run(BIN / "hadolint", path)


def compose_schema(path: Path) -> subprocess.CompletedProcess[str]:
    return run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path)


def test_the_dockerfile_passes_the_linter() -> None:
    finished = hadolint(DOCKERFILE)
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize(
    "found, planted, rule",
    [
        ("FROM python:3.12-slim\n", "FROM python\n", "DL3006"),
        ("USER 10001:10001", "USER root", "DL3002"),
        ('CMD ["python", "-m", "dagster", "code-server"', "CMD python -m dagster # ", "DL3025"),
        ("WORKDIR /opt/hotdash\nUSER", "WORKDIR opt/hotdash\nUSER", "DL3000"),
    ],
)
def test_the_linter_finds_a_planted_violation(tmp_path: Path, found: str, planted: str, rule: str) -> None:
    text = DOCKERFILE.read_text()
    assert found in text
    broken = tmp_path / "Dockerfile"
    broken.write_text(text.replace(found, planted))
    finished = hadolint(broken)
    assert finished.returncode != 0
    assert rule in finished.stdout


def test_the_compose_file_fits_its_schema() -> None:
    finished = compose_schema(COMPOSE)
    assert finished.returncode == 0, finished.stdout


def test_the_schema_finds_a_planted_violation(tmp_path: Path) -> None:
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE.read_text().replace("    ports:", "    prots:"))
    finished = compose_schema(broken)
    assert finished.returncode != 0
    assert "prots" in finished.stdout


def published_elsewhere(services: dict[str, Any]) -> list[str]:
    """Published ports that another machine could reach."""
    return [
        str(port)
        for service in services.values()
        for port in service.get("ports", [])
        if not str(port).startswith("127.0.0.1:")
    ]


def test_only_loopback_is_published(services: dict[str, Any]) -> None:
    assert published_elsewhere(services) == []
    assert {name for name, service in services.items() if service.get("ports")} == {"webserver", "webserver-read-only"}
    assert not any(service.get("network_mode") for service in services.values())


def test_a_port_published_to_the_world_is_found() -> None:
    planted = services_of(COMPOSE.read_text().replace('"127.0.0.1:${HOTDASH_WEBSERVER_PORT:-3000}', '"3000'))
    assert published_elsewhere(planted) == ["3000:3000"]


def final_user(text: str) -> str:
    """The user that the image's processes run as; empty when the Dockerfile names none."""
    return next((value for word, value in reversed(final_stage(text)) if word == "USER"), "")


def is_unprivileged(user: str) -> bool:
    """Whether the user is a fixed number other than root's, as a cluster's `runAsNonRoot` asks for."""
    uid, _, gid = user.partition(":")
    return uid.isdigit() and int(uid) >= 1000 and gid.isdigit() and int(gid) >= 1000


def test_the_image_ends_with_an_unprivileged_user() -> None:
    assert is_unprivileged(final_user(DOCKERFILE.read_text()))


@pytest.mark.parametrize("planted", ["USER root", "USER 0:0", "USER hotdash", ""])
def test_a_privileged_or_nameless_user_is_found(planted: str) -> None:
    assert not is_unprivileged(final_user(DOCKERFILE.read_text().replace("USER 10001:10001", planted)))


def test_the_user_of_the_image_is_the_one_that_it_makes() -> None:
    uid, gid = final_user(DOCKERFILE.read_text()).split(":")
    making = " ".join(value for word, value in final_stage(DOCKERFILE.read_text()) if word == "RUN")
    assert f"--gid {gid}" in making
    assert f"--uid {uid}" in making


def test_the_image_runs_and_checks_itself_without_a_shell() -> None:
    stage = dict(final_stage(DOCKERFILE.read_text()))
    assert yaml.safe_load(stage["CMD"])[0] == "python"
    assert yaml.safe_load(stage["HEALTHCHECK"].partition("CMD ")[2])[0] == "python"
    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert "/var/lib/hotdash" in stage["VOLUME"]
    assert "HOTDASH_HOME=/var/lib/hotdash" in stage["ENV"]


def test_everything_that_the_dockerfile_copies_exists_and_passes_the_ignore_file() -> None:
    allowed = {line[1:] for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for word, value in instructions(DOCKERFILE.read_text())
        if word == "COPY" and "--from" not in value
        for source in value.split()[:-1]
    }
    assert copied == allowed
    assert [path for path in sorted(copied) if not (PROJECT_ROOT / path).exists()] == []


def test_the_image_has_every_folder_that_the_code_location_reads() -> None:
    copied = {
        value.split()[-1]
        for word, value in instructions(DOCKERFILE.read_text())
        if word == "COPY" and "--from" not in value
    }
    named = {
        name
        for module in (PROJECT_ROOT / "hotdash_pipelines").rglob("*.py")
        for name in re.findall(r'PROJECT_ROOT / "([a-z_]+)"', module.read_text())
    }
    # The docs are written by `hotdash docs` and looked at by `hotdash sla validate`, neither of them in an image.
    assert {"dbt_project", "slas"} <= named
    assert {name for name in named - {"docs"} if not any(path.startswith(name) for path in copied)} == set()


def test_the_ignore_file_lets_nothing_through_that_it_does_not_name() -> None:
    lines = [line for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert not any(".env" in line for line in lines if line.startswith("!"))


def test_the_services_run_the_commands_of_hotdash_up(services: dict[str, Any]) -> None:
    everywhere = "0.0.0.0"
    expected = {
        "code-location": code_server_command(4000, everywhere),
        "webserver": webserver_command(WORKSPACE, everywhere, 3000),
        "webserver-read-only": webserver_command(WORKSPACE, everywhere, 3000, read_only=True),
        "daemon": daemon_command(WORKSPACE),
    }
    for name, command in expected.items():
        assert services[name]["command"] == ["python", *command[1:]], name


def test_the_image_runs_the_code_location_unless_told_otherwise(services: dict[str, Any]) -> None:
    assert yaml.safe_load(dict(final_stage(DOCKERFILE.read_text()))["CMD"]) == services["code-location"]["command"]


def test_the_workspace_names_the_service_and_port_of_the_code_location(services: dict[str, Any]) -> None:
    workspace = yaml.safe_load((PROJECT_ROOT / "docker" / "workspace.yaml").read_text())
    server = workspace["load_from"][0]["grpc_server"]
    command = services[server["host"]]["command"]
    assert command[command.index("-p") + 1] == str(server["port"])
    assert command[command.index("--location-name") + 1] == server["location_name"]


def test_the_services_start_in_order_and_only_on_healthy_ones(services: dict[str, Any]) -> None:
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    after_code = {"code-location": "service_healthy"}
    assert waits == {
        "postgres": {},
        "migrate": {"postgres": "service_healthy"},
        "code-location": {"postgres": "service_healthy", "migrate": "service_completed_successfully"},
        "webserver": after_code,
        "webserver-read-only": after_code,
        "daemon": after_code,
    }
    awaited = {name for other in waits.values() for name, how in other.items() if how == "service_healthy"}
    assert all(services[name]["healthcheck"]["test"] for name in awaited)


def test_only_the_code_location_sees_the_credentials_of_the_sources(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "env_file" in service] == ["code-location"]
    given = set().union(*(service["environment"] for service in services.values()))
    assert given == {
        "HOTDASH_DATABASE_URL",
        "HOTDASH_DAGSTER_DATABASE_URL",
        "POSTGRES_USER",
        "POSTGRES_DB",
        "POSTGRES_PASSWORD",
        "POSTGRES_INITDB_ARGS",
    }


def secrets_in(text: str) -> list[str]:
    """Values that stand in the text where a password belongs, instead of a reference to the environment."""
    text = re.sub(r"\$\{[^}]*\}", "", text)
    in_urls = re.findall(r"://[^\s:/@]+:([^\s@/]+)@", text)
    assigned = re.findall(r"(?im)(?:password|secret|token|webhook_url)\w*[ \t]*[:=][ \t]*([^\s#]+)", text)
    return in_urls + assigned


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "dagster.yaml", "workspace.yaml", "env.example"])
def test_no_docker_file_holds_a_secret(name: str) -> None:
    assert secrets_in((PROJECT_ROOT / "docker" / name).read_text()) == []


@pytest.mark.parametrize(
    "planted",
    ["POSTGRES_PASSWORD: hunter2", "url: postgresql://hotdash:hunter2@postgres:5432/x", "ENV API_TOKEN=hunter2"],
)
def test_a_planted_secret_is_found(planted: str) -> None:
    assert secrets_in(planted) == ["hunter2"]


def test_dagsters_database_is_reached_by_psycopg2(services: dict[str, Any]) -> None:
    urls = [
        service["environment"]["HOTDASH_DAGSTER_DATABASE_URL"]
        for name, service in services.items()
        if name != "postgres"
    ]
    assert len(urls) == 5
    assert all(url.startswith("postgresql+psycopg2://") for url in urls)


def test_the_template_of_the_env_file_names_settings_that_exist() -> None:
    text = (PROJECT_ROOT / "docker" / "env.example").read_text()
    names = re.findall(r"(?m)^#?(HOTDASH_[A-Z0-9_]+)=", text)
    assert len(names) > 8
    assert [name for name in names if name not in every_setting()] == []


def test_the_template_of_the_env_file_is_valid_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in (PROJECT_ROOT / "docker" / "env.example").read_text().splitlines():
        if line.startswith("HOTDASH_"):
            monkeypatch.setenv(*line.split("=", 1))
    assert Settings().store_currency == "USD"


def pins(text: str) -> dict[tuple[str, str], str]:
    """(name, marker) -> version of every requirement; an AssertionError for one that is not pinned and hashed."""
    found = {}
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", text):
        lines = [
            line.strip().rstrip("\\").strip()
            for line in block.splitlines()
            if line and not line.lstrip().startswith("#")
        ]
        if not lines:
            continue
        requirement = Requirement(lines[0])
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", lines[0]
        assert lines[1:], f"{lines[0]} has no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in lines[1:]), lines[0]
        found[requirement.name, str(requirement.marker or "")] = specifier.version
    return found


def test_the_images_lock_is_a_part_of_the_whole_lock() -> None:
    whole = {(name, version) for (name, _), version in pins((PROJECT_ROOT / "requirements.lock").read_text()).items()}
    image = {
        (name, version) for (name, _), version in pins((PROJECT_ROOT / "docker/requirements.lock").read_text()).items()
    }
    assert image < whole
    names = {name for name, _ in image}
    assert {"dagster", "dagster-webserver", "dagster-postgres", "dbt-postgres", "psycopg", "pyarrow"} <= names
    assert not names & {"pytest", "ruff", "moto", "basedpyright", "sqlfluff", "uv"}


def test_the_images_lock_has_every_runtime_dependency() -> None:
    import tomllib

    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    image = {
        name: version for (name, _), version in pins((PROJECT_ROOT / "docker/requirements.lock").read_text()).items()
    }
    for line in project["dependencies"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(image[requirement.name]), line


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_is_pinned_and_hashed_and_names_no_index(name: str) -> None:
    text = (PROJECT_ROOT / name).read_text()
    assert pins(text)
    assert addresses_in(text) == []


def addresses_in(text: str) -> list[str]:
    """Lines that say where packages come from."""
    return [
        line for line in text.splitlines() if re.search(r"://|^\s*(-i|--(extra-)?index-url|--find-links|-f)\b", line)
    ]


@pytest.mark.parametrize(
    "planted",
    ["--index-url https://mirror.example/simple", "--find-links wheels", "six @ https://mirror.example/six.whl"],
)
def test_an_index_address_in_a_lock_is_found(planted: str) -> None:
    assert addresses_in(f"six==1.17.0 \\\n    --hash=sha256:{'0' * 64}\n{planted}\n") == [planted]


def test_a_requirement_without_a_hash_is_found() -> None:
    with pytest.raises(AssertionError, match="has no hash"):
        pins("six==1.17.0\n")


def test_the_instance_file_fits_dagsters_schema(tmp_path: Path) -> None:
    from dagster._core.instance.config import dagster_instance_config

    text = (PROJECT_ROOT / "docker" / "dagster.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(text)
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["storage"] == {"postgres": {"postgres_url": {"env": "HOTDASH_DAGSTER_DATABASE_URL"}}}
    assert config["telemetry"] == {"enabled": False}


def test_an_unknown_key_in_the_instance_file_is_found(tmp_path: Path) -> None:
    from dagster import DagsterInvalidConfigError
    from dagster._core.instance.config import dagster_instance_config

    text = (PROJECT_ROOT / "docker" / "dagster.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(text.replace("start_timeout_seconds", "start_timeout"))
    with pytest.raises(DagsterInvalidConfigError, match="start_timeout"):
        dagster_instance_config(str(tmp_path))
