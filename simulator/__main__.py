"""`python -m simulator --host 127.0.0.1 --port 8481 --state FILE`; the rest by environment, see
`Config.from_environment`.
"""

import argparse
import os
from dataclasses import replace

import uvicorn

from simulator.app import create_app
from simulator.state import Config


def main() -> None:
    """Serves the simulated cloud until it is told to stop."""
    parser = argparse.ArgumentParser(
        prog="simulator", description="A simulated Microsoft cloud: Entra ID, Partner Center, Graph, Azure."
    )
    parser.add_argument("--host", default=os.environ.get("SIMULATOR_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("SIMULATOR_PORT", "8481")))
    parser.add_argument("--state", help="the SQLite file to remember in (default: SIMULATOR_STATE, else memory only)")
    options = parser.parse_args()
    config = Config.from_environment()
    if options.state:
        config = replace(config, state=options.state)
    if config.base_url is None and options.host != "0.0.0.0":  # noqa: S104 - nobody can call back on that one
        config = replace(config, base_url=f"http://{options.host}:{options.port}")
    app = create_app(config)
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
