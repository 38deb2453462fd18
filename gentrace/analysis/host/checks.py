"""A profile's keys, one after the other, against what a checkout has.

What decides about the times is a problem: own jobs, routes, the status and the id of the model, the
final words. The rest is a remark: without it something is missing on the spans.
"""

from __future__ import annotations

from collections.abc import Iterator

from gentrace.analysis.host import api_routes, arq_functions, models
from gentrace.analysis.host.targets import whose
from gentrace.analysis.host.text import HostText, meant, nearest
from gentrace.analysis.host.words import word_problems
from gentrace.analysis.problem import Problem
from gentrace.core.profile import Job, Profile
from gentrace.core.source_tree import Definition, Function
from gentrace.core.targets import RESOLVED, Inspection, Resolved

_MAPPED = ("model", "submission", "asset")
_DECISIVE = ("id", "status")
_TYPO = 0.9  # a letter or two of a name


def check(profile: Profile, found: Inspection, own: str = "") -> Iterator[Problem]:
    """What the profile names and the checkout has not, each with the nearest that it has.

    Args:
        own: the profile's file, where it is one that its reader can change.
    """
    host = HostText(found.checkout, found.tree)
    place = whose(profile, own)
    if profile.jobs:
        yield from _jobs(profile, arq_functions.functions(host), place)
    if profile.routes:
        yield from _routes(profile, api_routes.routes(host), place)
    for r in found.resolved:
        if r.state == RESOLVED and r.target.role in _MAPPED:
            yield from _mapped(host, r, place)
    yield from word_problems(profile, found, host, place)


def _jobs(profile: Profile, known: arq_functions.Functions, place: str) -> Iterator[Problem]:
    there = [job for job in profile.jobs if _spelt(job) & known.names.keys()]
    none = not any(job.own for job in there)
    for job in profile.jobs:
        if job in there:
            held = next((known.names[n] for n in _spelt(job) if known.names.get(n)), None)
            yield from _argument(job, held, place)
            continue
        names = [name for name in known.names if profile.job(name) is None]
        needed = not job.optional or (none and job.own)
        near = nearest(job.function, names, 0.6 if needed else _TYPO)
        if not near and not needed:
            continue
        hint = f"; did you mean {near!r}?" if near else meant(job.function, known.names)
        sure = known.whole and bool(known.names)
        yield Problem(
            "job_missing",
            f"jobs[{job.function}]: no ARQ worker or cron of this host runs such a function"
            f"{'' if known.whole else ', as far as its lists can be read'}{hint}",
            f"name the function as the worker lists it, in {place}; mark it optional where only "
            "other revisions have it. Its tries are not recorded until then",
            serious=sure or bool(near),
        )


def _spelt(job: Job) -> set[str]:
    """How the host may call the function: whole, or without the module in front."""
    return {job.function, job.function.rpartition(".")[2]}


def _argument(job: Job, held: Definition | None, place: str) -> Iterator[Problem]:
    """Whether the job's function has the argument that the id is read from."""
    if held is None or not isinstance(held.node, Function) or held.node.args.kwarg is not None:
        return
    given = held.node.args
    in_order = [a.arg for a in (*given.posonlyargs, *given.args)]
    names = [*in_order, *(a.arg for a in given.kwonlyargs)]
    wanted = job.id.partition(".")[0]
    if job.function.startswith("cron:") or (
        job.id == Job("").id and job.position + 1 < len(in_order)
    ):
        return  # a cron has none; without a name it is taken by its position
    if wanted not in names:
        yield Problem(
            "job_argument",
            f"jobs[{job.function}].id: {job.function}({', '.join(names)}) has no argument "
            f"{wanted}{meant(wanted, names)}",
            f"name the argument that holds the generation's id, in {place}",
        )


def _routes(profile: Profile, known: api_routes.Routes, place: str) -> Iterator[Problem]:
    there = [route for route in profile.routes if known.has(route)]
    for route in profile.routes:
        if route in there:
            continue
        near = known.meant(route)
        asked = f"{route.method} {route.path}"
        if route.optional and there and not (near and nearest(asked, [near], _TYPO)):
            continue
        told = f"; did you mean {near}?" if near else ""
        if not known.declared:
            told = ", as far as its source tells: no decorator of a router was found"
        yield Problem(
            "route_missing",
            f"routes[{route.method} {route.path}]: no route of this host is called so{told}",
            f"name method and path as the application has them, with its prefixes, in {place}; "
            "mark it optional where only other revisions have it. Its requests are not recorded "
            "until then",
            serious=bool(known.declared),
        )


def _mapped(host: HostText, r: Resolved, place: str) -> Iterator[Problem]:
    """Whether a mapped class has the attributes that are read from it."""
    module, _, qualname = r.spelling.partition(":")
    cls = host.tree.find(module, qualname)
    known = models.attributes(host, cls) if cls is not None else None
    if known is None:
        return
    for key, paths in r.target.read.items():
        parts = [path.split(".") for path in paths]
        if not all(len(part) > 1 and part[0] == "self" for part in parts):
            continue
        names = [part[1] for part in parts]
        if known.intersection(names):
            continue
        yield Problem(
            "attribute_missing",
            f"targets[{r.target.name}].read.{key}: {qualname} has no {' or '.join(names)}"
            f"{meant(names[0], (name for name in known if not name.startswith('__')))}",
            f"name the mapped attribute in {place}; {_without(key)}",
            serious=key in _DECISIVE and r.target.role == "model",
        )


def _without(key: str) -> str:
    if key == "status":
        return "until then no change of status is seen, and a run has no end"
    return f"until then its {key} is not known"
