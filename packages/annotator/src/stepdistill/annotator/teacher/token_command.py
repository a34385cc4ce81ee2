"""A token that a command prints, in place of a key: of Entra, of a cloud, of a vault.

    az account get-access-token --resource https://ai.azure.com --query accessToken -o tsv

Such a token is over after an hour or so: who is refused with one asks for the next, once, however
many requests were under way.
"""

import asyncio
import shlex
import subprocess
from typing import Final

from stepdistill.common.errors import ConfigError

_TIMEOUT_S = 60.0
_SHOWN = 200  # characters of what the command complains of


class TokenCommand:
    """The command and its last token; one for all connections of a teacher."""

    def __init__(self, command: str, timeout_s: float = _TIMEOUT_S) -> None:
        self.command: Final = command
        self._timeout_s, self._turn = timeout_s, asyncio.Lock()
        self._token: str | None = None

    def __reduce__(self) -> tuple[type["TokenCommand"], tuple[str, float]]:
        """Another process asks for a token of its own."""
        return TokenCommand, (self.command, self._timeout_s)

    @property
    def token(self) -> str:
        """The token; the command is run where there is none yet. Raises ConfigError."""
        if self._token is None:
            self._token = self._printed()
        return self._token

    async def renew(self, refused: str) -> bool:
        """Get another token than this one; False where the command prints the same. Raises
        ConfigError."""
        async with self._turn:
            if self._token == refused:
                self._token = await asyncio.to_thread(self._printed)
            return self._token != refused

    def _printed(self) -> str:
        where = f"key_command `{self.command}`"
        try:
            done = subprocess.run(
                shlex.split(self.command),
                capture_output=True,
                text=True,
                timeout=self._timeout_s,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise ConfigError(
                f"{where}: it printed no token within {self._timeout_s:g} s"
            ) from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{where}: cannot be run ({error})") from None
        token = done.stdout.strip()
        if done.returncode or not token:
            words = " ".join(done.stderr.split())[:_SHOWN] or "it printed nothing"
            raise ConfigError(f"{where}: exit code {done.returncode}: {words}")
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ConfigError(
                f"{where}: what it prints is no token: one word in one line is wanted"
            )
        return token
