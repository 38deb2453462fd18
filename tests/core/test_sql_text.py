"""Operation and table of a statement, and nothing else of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentrace.core.scrub import Scrubber
from gentrace.core.sql_text import outline

WIDE = ", ".join(f"generations.column_{i} AS generations_column_{i}" for i in range(80))


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT a FROM generations WHERE x = 1", "SELECT generations"),
        ("select a\nfrom\tgenerations", "SELECT generations"),
        (f"SELECT {WIDE} \nFROM generations", "SELECT generations"),
        ('SELECT g."from", g.from FROM public."generations" AS g', "SELECT public.generations"),
        ("SELECT 1 FROM [dbo].[T]", "SELECT dbo.T"),
        ("SELECT 1 FROM `db`.`t`", "SELECT db.t"),
        ("SELECT * FROM ONLY t FOR UPDATE", "SELECT t"),
        ("SELECT a FROM a, b", "SELECT a"),
        ("SELECT 1", "SELECT"),
        ("SELECT 1; DROP TABLE t", "SELECT"),
        ("(SELECT 1 FROM a) UNION (SELECT 1 FROM b)", "SELECT a"),
        # subselects and functions
        ("SELECT (SELECT count(*) FROM b) AS n, EXTRACT(YEAR FROM at) FROM a", "SELECT a"),
        ("SELECT count(*) FROM (SELECT 1 FROM a WHERE x IN (SELECT 1 FROM c)) q", "SELECT a"),
        ("SELECT EXISTS (SELECT 1 FROM generations)", "SELECT generations"),
        ("SELECT EXTRACT(YEAR FROM at)", "SELECT"),
        ("SELECT a IS DISTINCT FROM b FROM t", "SELECT t"),
        ("SELECT * FROM generate_series(1, 3) AS x JOIN t ON true", "SELECT t"),
        ("SELECT * FROM LATERAL (SELECT 1 FROM a) x", "SELECT a"),
        # what WITH makes is no table
        ("WITH x AS (SELECT * FROM a), y(c) AS NOT MATERIALIZED (SELECT 1 FROM x) "
         "SELECT * FROM y JOIN x ON true", "SELECT a"),
        ("WITH x AS (SELECT * FROM a) SELECT * FROM x JOIN b ON true", "SELECT b"),
        ("WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone", "INSERT b"),
        ("WITH RECURSIVE t(n) AS (VALUES (1) UNION SELECT n+1 FROM t) SELECT n FROM t", "SELECT"),
        ("WITH x AS (SELECT 1 FROM a) UPDATE g SET n = 1", "UPDATE g"),
        # changes
        ("INSERT INTO b (x, y) SELECT x, y FROM a", "INSERT b"),
        ("INSERT INTO b(x) VALUES (1) ON CONFLICT (x) DO UPDATE SET x = 1", "INSERT b"),
        ("INSERT OR REPLACE INTO b VALUES (1)", "INSERT b"),
        ('INSERT INTO "Order" DEFAULT VALUES', "INSERT Order"),
        ("REPLACE INTO b VALUES (1)", "REPLACE b"),
        ("UPDATE ONLY s.g SET x = (SELECT 1 FROM z)", "UPDATE s.g"),
        ("UPDATE OR IGNORE g SET x = 1", "UPDATE g"),
        ("UPDATE g SET x = b.x FROM b", "UPDATE g"),
        ("DELETE FROM g USING b", "DELETE g"),
        ("MERGE INTO g USING s ON true WHEN MATCHED THEN UPDATE SET x = 1", "MERGE g"),
        ("COPY g (a, b) FROM STDIN", "COPY g"),
        ("COPY (SELECT 1 FROM g) TO STDOUT", "COPY g"),
        ("EXPLAIN ANALYZE SELECT 1 FROM g", "EXPLAIN g"),
        ("DECLARE c CURSOR FOR SELECT 1 FROM g", "DECLARE g"),
        # schemas
        ("CREATE TABLE IF NOT EXISTS g (a int)", "CREATE g"),
        ("\nCREATE TABLE g (\n\tid INTEGER NOT NULL\n)", "CREATE g"),
        ("CREATE UNIQUE INDEX CONCURRENTLY ix ON g (a)", "CREATE g"),
        ("ALTER TABLE ONLY g ADD x int", "ALTER g"),
        ("DROP TABLE IF EXISTS g", "DROP g"),
        ("TRUNCATE TABLE g", "TRUNCATE g"),
        ("LOCK g IN SHARE MODE", "LOCK g"),
        # what has no table
        ('PRAGMA main.table_info("generations")', "PRAGMA"),
        ("SAVEPOINT sa_savepoint_1", "SAVEPOINT"),
        ("RELEASE SAVEPOINT sa_savepoint_1", "RELEASE"),
        ("ROLLBACK TO SAVEPOINT sa_savepoint_1", "ROLLBACK"),
        ("BEGIN IMMEDIATE", "BEGIN"),
        ("show standard_conforming_strings", "SHOW"),
        # comments
        ("/* a FROM x */ -- FROM y\n SELECT 1 /* FROM z */ FROM t", "SELECT t"),
    ],
)  # fmt: skip
def test_a_statement_in_two_words(statement: str, shown: str) -> None:
    assert str(outline(statement)) == shown
    assert Scrubber(b"k" * 32).attribute("db.statement", statement) == shown


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT 'a FROM secret' FROM t", "SELECT t"),
        ("SELECT 'it''s FROM secret' FROM t", "SELECT t"),
        ("SELECT $$ FROM secret $$, $q$ FROM secret $q$, $1 FROM t", "SELECT t"),
        ("SELECT E'it\\' FROM secret ' FROM t", "SELECT"),
        ("SELECT 'it\\' FROM secret ' FROM t", "SELECT"),
        ("SELECT ARRAY['x]y FROM secret'] FROM t", "SELECT t"),
        ('SELECT "a FROM secret" FROM t', "SELECT t"),
        ("SELECT 'not closed FROM secret", "SELECT"),
        ("SELECT :from, %(from)s, @from FROM t", "SELECT t"),
        ('SELECT 1 FROM "alice@secret.example"', "SELECT"),
        ('SELECT 1 FROM "a secret of mine"', "SELECT"),
        ("SELECT 1 FROM 'secret'", "SELECT"),
        ("SELECT 1 FROM " + "secret" * 11, "SELECT"),
        ("SELECT 1 FROM a.b.c.secret", "SELECT"),
        ("COPY t FROM '/home/secret'", "COPY t"),
        ("REVOKE ALL ON t FROM secret", "REVOKE"),
        ("CREATE USER secret PASSWORD 'secret'", "CREATE"),
        ("secret FROM secret", ""),
        ("'secret'", ""),
        ("-- secret", ""),
        ("", ""),
    ],
)
def test_no_value_gets_through(statement: str, shown: str) -> None:
    assert str(outline(statement)) == shown
    assert Scrubber(b"k" * 32).attribute("db.statement", statement) == (shown or None)


LITERALS = st.text().map(lambda text: "'" + text.replace("'", "''") + "'")
WORDS = ("SELECT", "FROM", "INTO", "UPDATE", "WITH", "AS", "(", ")", ",", "\\", "--", "t")
PIECES = st.one_of(LITERALS, st.sampled_from(WORDS))


@given(st.lists(PIECES, max_size=12))
def test_no_literal_gets_through_whatever_stands_around_it(pieces: list[str]) -> None:
    marked = [piece.replace("'", "'QQ", 1) if piece.startswith("'") else piece for piece in pieces]
    shown = str(outline("SELECT " + " ".join(marked)))
    assert "QQ" not in shown
    assert {*shown.split()} <= {"SELECT", *WORDS}


@given(st.text())
def test_any_text_gives_words_of_a_plain_form(text: str) -> None:
    assert re.fullmatch(r"([A-Z]+( [^\W\d][\w$]*(\.[^\W\d][\w$]*){0,2})?)?", str(outline(text)))
