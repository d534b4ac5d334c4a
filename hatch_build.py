"""The wheel carries the guest images; where they have not been built, this builds them first.

An editable install leaves them alone (`make guest` builds them), and so does the source archive.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GuestImages(BuildHookInterface[Any]):
    """Build hook of the wheel."""

    PLUGIN_NAME = "custom"

    @property
    def _missing(self) -> bool:
        return not (Path(self.root) / "emulator" / "images" / "MANIFEST").is_file()

    def _guest(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("collect", Path(self.root) / "guest" / "collect.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def dependencies(self) -> list[str]:
        """The compiler, only if it is needed."""
        return list(self._guest().TOOLS) if self._missing else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is put together."""
        if version != "editable" and self._missing:
            guest = self._guest()
            guest.build()
            print(f"guest: {len(guest.collect())} images", file=sys.stderr)
