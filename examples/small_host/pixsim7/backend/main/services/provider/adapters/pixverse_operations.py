"""Submits to Pixverse: one method an operation, chosen by `execute`."""

from typing import TYPE_CHECKING, Any

from pixsim7.backend.main.domain import ProviderAccount
from pixsim7.backend.main.domain.enums import OperationType, ProviderStatus
from pixsim7.backend.main.services.provider.adapters.pixverse_client import (
    PixverseClient,
    PixverseJob,
)
from pixsim7.backend.main.services.provider.adapters.pixverse_errors import raise_provider_error
from pixsim7.backend.main.services.provider.base import GenerationResult
from pixsim7.backend.main.shared.errors import ProviderError, UnsupportedOperationError

if TYPE_CHECKING:
    from pixsim7.backend.main.services.provider.base import Provider as _Host
else:
    _Host = object

OPTION_KEYS = ("model", "quality", "duration", "aspect_ratio", "seed", "motion_mode")


def _options(params: dict[str, Any], *without: str) -> dict[str, Any]:
    return {k: params[k] for k in OPTION_KEYS if k in params and k not in without}


def _required(params: dict[str, Any], *keys: str) -> Any:
    """Returns the first of the keys that is there; raises ProviderError when none is."""
    for key in keys:
        if params.get(key):
            return params[key]
    text = f"Missing parameter: {' or '.join(keys)}"
    raise ProviderError(text, error_code="param_missing", retryable=False)


class PixverseOperationsMixin(_Host):
    async def execute(
        self, operation_type: OperationType, account: ProviderAccount, params: dict[str, Any]
    ) -> GenerationResult:
        """Returns the accepted job. Raises: ProviderError, of the kind that was answered."""
        handlers = {
            OperationType.TEXT_TO_IMAGE: self._generate_text_to_image,
            OperationType.TEXT_TO_VIDEO: self._generate_text_to_video,
            OperationType.IMAGE_TO_VIDEO: self._generate_image_to_video,
            OperationType.IMAGE_TO_IMAGE: self._generate_image_to_image,
            OperationType.VIDEO_EXTEND: self._extend_video,
            OperationType.VIDEO_TRANSITION: self._generate_transition,
            OperationType.VIDEO_MODIFY: self._generate_modify,
            OperationType.FUSION: self._generate_fusion,
        }
        handler = handlers.get(operation_type)
        if handler is None:
            raise UnsupportedOperationError("pixverse", operation_type.value)
        try:
            job = await handler(PixverseClient(account.jwt_token or ""), params)
        except Exception as error:
            raise_provider_error(error, account.id)
        return GenerationResult(
            provider_job_id=job.id,
            provider_video_id=job.id,
            status=ProviderStatus.PROCESSING,
            metadata={"operation_type": operation_type.value},
        )

    async def _generate_text_to_video(
        self, client: PixverseClient, params: dict[str, Any]
    ) -> PixverseJob:
        return await client.create(params.get("prompt", ""), **_options(params))

    async def _generate_image_to_video(
        self, client: PixverseClient, params: dict[str, Any]
    ) -> PixverseJob:
        """The aspect ratio follows the image, so it is not sent."""
        image_url = _required(params, "image_url")
        options = _options(params, "aspect_ratio")
        return await client.create(params.get("prompt", ""), image_url=image_url, **options)

    async def _generate_text_to_image(
        self, client: PixverseClient, params: dict[str, Any]
    ) -> PixverseJob:
        return await client.create_image(params.get("prompt", ""), **_options(params, "duration"))

    async def _generate_image_to_image(
        self, client: PixverseClient, params: dict[str, Any]
    ) -> PixverseJob:
        images = _required(params, "image_urls", "image_url")
        image_urls = [images] if isinstance(images, str) else images
        options = _options(params, "duration")
        return await client.create_image(params.get("prompt", ""), image_urls=image_urls, **options)

    async def _extend_video(self, client: PixverseClient, params: dict[str, Any]) -> PixverseJob:
        video = _required(params, "original_video_id", "video_url")
        return await client.extend(str(video), params.get("prompt", ""), **_options(params))

    async def _generate_transition(
        self, client: PixverseClient, params: dict[str, Any]
    ) -> PixverseJob:
        prompts = params.get("prompts") or [params.get("prompt", "")]
        image_urls = _required(params, "image_urls")
        return await client.transition(prompts, image_urls=image_urls, **_options(params))

    async def _generate_modify(self, client: PixverseClient, params: dict[str, Any]) -> PixverseJob:
        video = _required(params, "video_url")
        return await client.modify(str(video), params.get("prompt", ""), **_options(params))

    async def _generate_fusion(self, client: PixverseClient, params: dict[str, Any]) -> PixverseJob:
        image_urls = _required(params, "image_urls")
        options = _options(params)
        return await client.fusion(params.get("prompt", ""), image_urls=image_urls, **options)
