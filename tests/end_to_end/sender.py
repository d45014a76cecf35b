"""A process of its own that sends what it is told: requests come in as lines of JSON, answers go out as such."""

import asyncio
import json
import sys
from types import TracebackType
from typing import Any, Self

import httpx

Answer = tuple[int, dict[str, Any]]
"""The status and the body of an answer."""


class Sender:
    """The test's end of such a process, which calls the API with this token."""

    def __init__(self, api_url: str, token: str) -> None:
        self._api_url, self._token = api_url, token

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        await self.sends("GET", "/livez")  # started and connected, so that two of them are as fast
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def sends(self, method: str, path: str, body: object = None, key: str = "") -> Answer:
        """The answer to this request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        headers = {"Authorization": f"Bearer {self._token}"} | ({"Idempotency-Key": key} if key else {})
        said = {"method": method, "url": f"{self._api_url}{path}", "headers": headers, "json": body}
        self._process.stdin.write(json.dumps(said).encode() + b"\n")
        status, content = json.loads(await self._process.stdout.readline())
        return status, content


def main() -> None:
    """Send until there is nothing more to send."""
    with httpx.Client(trust_env=False, timeout=30) as http:
        for line in sys.stdin:
            answer = http.request(**json.loads(line))
            print(json.dumps([answer.status_code, answer.json()]), flush=True)


if __name__ == "__main__":
    main()
