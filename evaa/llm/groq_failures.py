"""What went wrong with Groq, said in a way that may be logged, and whether it may pass."""

import re

import msgspec
import pydantic
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelUnavailableError,
)

_PASSING = (
    ModelRateLimitError,
    ModelUnavailableError,
    ModelServerError,
    ModelConnectionError,
    ModelRequestTimeout,
)

_PASSING_STATUSES = {408, 422, 498}
"""What Groq calls worth another try besides: time-out, a semantic failure of the model, no flex capacity."""

_CODE = re.compile(r"\w{1,64}")
"""What an error code looks like; anything else is text."""


class Failure(msgspec.Struct, frozen=True):
    """Why a run gave nothing. `message` quotes neither the request nor the answer."""

    message: str
    passing: bool
    retry_after_s: float | None = None


def failure_of(error: AgentRunError | pydantic.ValidationError, model: str) -> Failure:
    """Return what a failed run of an agent on `model` means."""
    if not isinstance(error, ModelAPIError):
        return Failure(f"{model} gave no usable answer: {type(error).__name__}", passing=False)
    # The provider's own message may quote the request, so only the kind of error and its code are passed on.
    status = getattr(error, "status_code", None)
    code = error.provider_error_code or ""
    details = ", ".join(str(part) for part in (status, _CODE.fullmatch(code) and code) if part)
    message = f"{error.model_name}: {type(error).__name__}" + (f" ({details})" if details else "")
    is_passing = isinstance(error, _PASSING) or status in _PASSING_STATUSES
    return Failure(message, is_passing, error.retry_after)
