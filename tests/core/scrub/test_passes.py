"""What is no secret passes whole, and every place that is allowed is checked."""

from __future__ import annotations

import uuid

import pytest

from gentrace.core import names
from gentrace.core.scrub import Scrubber
from gentrace.core.scrub.named import is_secret

SCRUBBER = Scrubber(b"the installation's key")
IDS = [
    *("1", "1234567890123456", "v5.6-turbo", "gen4_turbo", "seedance-1-0-pro-250528"),
    *("flux.1-kontext-max", "text_to_video", "pixverse", "stable-diffusion-xl-base-1.0"),
    *("task-0123456789abcdefgh", "sketch_generation_service", "pkg_resources.VersionConflict"),
    *("pixsim7.backend.main.shared.errors.ProviderError", "builtins.KeyError", "APDecoderError"),
    *("pixverse_sdk.errors.TokenExpiredError", "SkeletonKeyNotFoundError", "generation:123"),
    *("chain-exec:8b7c1c3e-0e3f-4d5a-9a3d-111111111111", "ingest:13", "cron:poll_job_statuses"),
    *("accounts/fireworks/models/flux-1-dev-fp8", "black-forest-labs/FLUX.1-schnell"),
    *("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "POST /api/v1/generations"),
    *("fal-ai/kling-video/v2.1/master/image-to-video", "ep-20250101123456-abcde"),
    *("no account available", "Model not found", "500063", "gpt-image-1", "sora_2_pro"),
    *("3b18e512dba79e4c8300dd08aeb37f8e728b8dad", "The prompt was refused by the provider"),
    *("arq:queue:generation-retry", "/usr/lib/python3.11/site-packages/pixverse/__init__.py"),
]


@pytest.mark.parametrize("value", [*IDS, str(uuid.UUID(int=2**127 + 5)), uuid.UUID(int=77).hex])
@pytest.mark.parametrize("name", [names.MODEL, names.PROVIDER_JOB_ID, names.ERROR_TYPE])
def test_an_id_or_a_name_passes_whole(name: str, value: str) -> None:
    assert SCRUBBER.attribute(name, value) == value
    assert SCRUBBER.attribute(name, value, ("a lighthouse by the sea, at dusk",)) == value


def test_random_ids_pass_whole() -> None:
    for _ in range(2000):
        made = uuid.uuid4()
        for value in (str(made), made.hex, made.hex * 2, f"job-{made}", f"video_{made.hex}"):
            assert SCRUBBER.attribute(names.PROVIDER_JOB_ID, value) == value


@pytest.mark.parametrize(
    "message",
    [
        "The prompt was refused (code 500063), try 2 of 10",
        "HTTP 429: too many requests, retry after 30 s",
        "unsupported aspect ratio 16:9 for model v5.6-turbo",
        "video 8b7c1c3e-0e3f-4d5a-9a3d-111111111111 is still rendering",
        "max_tokens=4096 is too many",
        "cannot open /var/lib/pixsim7/media/7.mp4: No such file or directory",
        "GET https://api.pixverse.ai/openapi/v2/video/result/123456 gave 500",
        "it is 50% done, 3+4 of 9 frames",
    ],
)
def test_a_message_without_a_secret_passes_whole(message: str) -> None:
    assert SCRUBBER.text(message, ("a lighthouse by the sea, at dusk",)) == message


def test_a_digest_has_its_own_attributes() -> None:
    digest = "0123456789abcdef" * 4
    for name in (names.GENERATION_HASH, names.CODE_VERSION, names.PROVIDER_JOB_ID):
        assert SCRUBBER.attribute(name, digest) == digest
    assert digest not in SCRUBBER.text(f"the key {digest} is not known")
    assert "wolf" not in str(SCRUBBER.attribute(names.GENERATION_HASH, "password=wolfwolf"))


def test_what_the_profile_declares_passes_whole() -> None:
    for name, value in (
        (names.TARGETS_PATCHED, "pixsim7.backend.token:Token.get"),
        (names.TARGETS_LATE, "create"),
        (names.PACKAGES, "PyJWT==2.8.0"),
        (names.PACKAGES, "token==1.0.0rc1"),
    ):
        assert SCRUBBER.attribute(name, [value]) == (value,)


def test_lists_are_looked_into() -> None:
    told = ("sora: Bearer abcdefgh1234", "ok")
    shown = SCRUBBER.attribute(names.IMPORT_ERRORS, told)
    assert isinstance(shown, tuple)
    assert "abcdefgh1234" not in shown[0]
    assert shown[1] == "ok"


@pytest.mark.parametrize("name", ["db_password", "x-api-key", "Cookie", "refreshToken", "PGPASS"])
def test_a_name_tells_that_its_value_is_secret(name: str) -> None:
    assert is_secret(name)
    assert str(SCRUBBER.of_resource(name, "anything")).startswith("<secret:8:")


@pytest.mark.parametrize("name", ["service.name", "host.name", "team", "k8s.pod.name", "tokens"])
def test_others_do_not(name: str) -> None:
    assert SCRUBBER.of_resource(name, "pixsim7-api") == "pixsim7-api"
