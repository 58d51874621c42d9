"""Dagster's processes: one code server, the webserver and the daemon.

Belongs here: their commands and when each is ready. The image runs the same commands (docker/compose.yaml).
Does not belong here: supervision (children.py).
"""

import sys
import urllib.error
import urllib.request

from hotdash_pipelines.local.children import Children, free_port, port_is_free
from hotdash_pipelines.local.instance import write_workspace
from hotdash_pipelines.settings import Settings

# A first import of dagster, dbt and pyarrow on a cold disk.
_START_S = 120.0


def code_server_command(port: int, host: str = "127.0.0.1") -> list[str]:
    """The process that holds the definitions and launches runs."""
    return [
        sys.executable, "-m", "dagster", "code-server", "start", "-m", "hotdash_pipelines.definitions",
        "--location-name", "hotdash_pipelines", "-h", host, "-p", str(port), "--use-python-environment-entry-point",
    ]  # fmt: skip


def webserver_command(workspace: str, host: str, port: int, *, read_only: bool = False) -> list[str]:
    """The UI and its GraphQL."""
    command = [sys.executable, "-m", "dagster_webserver", "-w", workspace, "-h", host, "-p", str(port)]
    return [*command, "--read-only"] if read_only else command


def daemon_command(workspace: str) -> list[str]:
    """Schedules, sensors, the run queue, run monitoring and freshness."""
    return [sys.executable, "-m", "dagster._daemon", "run", "-w", workspace]


def start_dagster(settings: Settings, children: Children, *, read_only: bool) -> str:
    """Start the three processes, wait until the UI answers, and return its address."""
    port = free_port()
    server = children.start("code-server", code_server_command(port))
    workspace = str(write_workspace(settings, port))
    children.wait_until(server, lambda: not port_is_free("127.0.0.1", port), _START_S)
    children.start("daemon", daemon_command(workspace))
    webserver = children.start(
        "webserver", webserver_command(workspace, settings.webserver_host, settings.webserver_port, read_only=read_only)
    )
    reachable = "127.0.0.1" if settings.webserver_host in ("0.0.0.0", "::") else settings.webserver_host  # noqa: S104 - compared, not bound
    url = f"http://{reachable}:{settings.webserver_port}"
    children.wait_until(webserver, lambda: _answers(f"{url}/server_info"), _START_S)
    return url


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own http address
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
