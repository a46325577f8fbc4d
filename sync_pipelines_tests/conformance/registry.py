"""The pipelines that the kit is run for. A new one takes two lines: its import, and its place in the list."""

from sync_pipelines_tests.pipelines.offerings.subject import OFFERINGS

REGISTERED = (OFFERINGS,)
