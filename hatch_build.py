"""Puts the start-up files into editable installs; a wheel has them by pyproject's force-include."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

START_UP_FILES = ("gentrace.pth", "gentrace.start")


class PthBuildHook(BuildHookInterface):
    """Adds the switch to what an editable install writes into site-packages."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build; ``version`` is ``editable`` or ``standard``."""
        if version == "editable":
            for name in START_UP_FILES:
                build_data["force_include_editable"][name] = name
