"""The tree: orphans in their place, calls folded, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gentrace.analysis import tree
from gentrace.analysis.tree import Node, build
from tests.core import traces
from tests.core.traces import Tracer


def every(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from every(node.children)


def outline(nodes: Sequence[Node], depth: int = 0) -> list[str]:
    lines: list[str] = []
    for node in nodes:
        name = f"{len(node.fold.spans)} {node.fold.library}" if node.fold else node.span.name
        lines.append("  " * depth + name + (f" ({node.mark})" if node.mark else ""))
        lines += outline(node.children, depth + 1)
    return lines


def test_calls_are_folded_under_their_parent() -> None:
    assert outline(build(traces.failed().spans)) == [
        "POST /api/v1/generations",
        "  create_generation",
        "    enqueue process_generation",
        "      process_generation",
        "        12 SQL",
        "        account.select",
        "        provider.execute",
        "          pixverse._generate_image_to_video",
        "            POST",
        "        generation.finish",
    ]


def test_unfolded_every_span_is_there_once() -> None:
    made = traces.completed().spans
    shown = [node.span.span_id for node in every(build(made, fold=False))]
    assert sorted(shown) == sorted(span.span_id for span in made)


def test_folds_say_what_and_how_long() -> None:
    folds = [node.fold for node in every(build(traces.completed().spans)) if node.fold]
    assert [(fold.library, len(fold.spans), fold.what) for fold in folds] == [
        ("SQL", 8, "SELECT x5, UPDATE x3"),
        ("SQL", 5, "SELECT x3, UPDATE x2"),
        ("HTTP", 1, "POST app-api.pixverse.ai/…/t2v 200"),
    ]
    assert folds[0].busy_ns == 16 * traces.MS


def test_both_generations_of_the_conventions() -> None:
    t = Tracer("c")
    root = t.span("root", 0, 90)
    old = t.span("HTTP POST", 1, 2, root, kind="CLIENT", http__method="POST",
                 http__url="https://h.example/a/b/c?key=1", http__status_code=200)  # fmt: skip
    new = t.span("POST", 3, 4, root, kind="CLIENT", http__request__method="POST",
                 server__address="h.example", http__response__status_code=200)  # fmt: skip
    sql = t.span("SELECT", 5, 6, root, kind="CLIENT", db__system__name="postgresql")
    assert (tree.http_call(old), tree.http_call(new)) == (
        "POST h.example/…/c 200",
        "POST h.example 200",
    )
    assert (tree.library_of(old), tree.library_of(sql), tree.library_of(root)) == (
        "HTTP",
        "SQL",
        "",
    )


def test_children_of_a_job_that_is_not_written_hang_under_its_enqueue() -> None:
    assert outline(build(traces.unfinished().spans)) == [
        "POST /api/v1/generations",
        "  create_generation",
        "    enqueue process_generation",
        "      process_generation (open, not written yet)",
        "        account.select",
        "        account.credits",
    ]


def test_other_orphans_hang_under_the_root_and_are_marked() -> None:
    t = traces.completed()
    t.span("provider.poll", 3_000, 3_100, "00000000deadbeef")
    lines = outline(build(t.spans))
    assert "  provider.poll (parent not there)" in lines


def test_orphans_without_any_root_and_a_request_inside_another_trace() -> None:
    t = Tracer("o")
    t.span("create_generation", 5, 9, "00000000deadbeef")
    assert outline(build(t.spans)) == ["create_generation (parent not there)"]
    t = Tracer("p")
    server = t.span("POST /x", 0, 9, "00000000deadbeef", kind="SERVER")
    t.span("create_generation", 1, 9, server)
    assert outline(build(t.spans)) == ["POST /x", "  create_generation"]


def test_open_spans_and_parents_in_a_circle() -> None:
    t = Tracer("q")
    root = t.span("root", 0, -1)
    t.span("child", 2, 7, root)
    (node,) = build(t.spans)
    assert (node.mark, node.end_ns) == (tree.OPEN, t.at(7))
    a = t.span("a", 3, 4, "x")
    b = t.span("b", 3, 4, a)
    t.spans[2] = replace(a, parent_id=b.span_id)
    assert sorted(node.span.name for node in every(build(t.spans))) == ["a", "b", "child", "root"]
    assert build([]) == []
