"""What the database itself saw: each status of each generation, and when it was committed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import psycopg

WATCH = """
CREATE TABLE gt_status_seen (
    number BIGSERIAL, generation_id BIGINT, old TEXT, new TEXT, moment TEXT,
    at TIMESTAMPTZ DEFAULT clock_timestamp());
CREATE FUNCTION gt_status_note() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE before TEXT;
BEGIN
  IF TG_OP = 'UPDATE' THEN before := lower(OLD.status::text); END IF;
  IF before IS DISTINCT FROM lower(NEW.status::text) THEN
    INSERT INTO gt_status_seen (generation_id, old, new, moment)
    VALUES (NEW.id, before, lower(NEW.status::text), TG_ARGV[0]);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER gt_status_set AFTER INSERT OR UPDATE ON generations
  FOR EACH ROW EXECUTE FUNCTION gt_status_note('statement');
CREATE CONSTRAINT TRIGGER gt_status_committed AFTER INSERT OR UPDATE ON generations
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gt_status_note('commit');
"""


@dataclass(frozen=True)
class Seen:
    """A status that was committed, a moment before the commit was over."""

    old: str | None
    new: str
    at_s: float


class Database:
    """The host's database, looked at and now and then changed from outside."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement in a transaction of its own; its rows, if it has any."""
        with psycopg.connect(self._url) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def watch(self) -> None:
        """Has every status noted from now on."""
        with psycopg.connect(self._url) as connection:
            connection.execute(WATCH.encode())

    def statuses(self, moment: str = "commit") -> dict[str, list[Seen]]:
        """What the triggers noted, by generation."""
        found: dict[str, list[Seen]] = defaultdict(list)
        rows = self.run(
            "SELECT generation_id, old, new, extract(epoch FROM at)::float8 FROM gt_status_seen"
            " WHERE moment = %s ORDER BY number",
            moment,
        )
        for generation_id, old, new, at_s in rows:
            found[str(generation_id)].append(Seen(old, new, at_s))
        return dict(found)

    def status(self, generation_id: str) -> str:
        """A generation's status now."""
        ((status,),) = self.run(
            "SELECT lower(status::text) FROM generations WHERE id = %s", int(generation_id)
        )
        return str(status)

    def set_accounts(self, status: str) -> None:
        """Enables or disables every account; the label's case is the revision's."""
        ((label,),) = self.run(
            "SELECT e.enumlabel FROM pg_enum e JOIN pg_attribute a ON a.atttypid = e.enumtypid"
            " WHERE a.attrelid = 'provider_accounts'::regclass AND a.attname = 'status'"
            " AND lower(e.enumlabel) = %s",
            status,
        )
        self.run(f"UPDATE provider_accounts SET status = '{label}'")
