"""An Exchange -> its parsed response: calls the parser with the settings of the endpoint and the request."""

from __future__ import annotations

from ..config.endpoint import Endpoint
from ..core.types import Exchange, Failure, Outcome
from ..parsing.response import ParsedResponse, parse_response
from ..transport.redirects import not_followed


def interpret(exchange: Exchange, endpoint: Endpoint) -> ParsedResponse:
    """What an exchange's bytes mean. A defect of the parser costs its response, never the row."""
    request = exchange.request
    try:
        parsed = parse_response(
            exchange.body,
            exchange.read_ends,
            status=exchange.status or 0,
            headers=exchange.headers,
            failure=exchange.failure,
            stream=endpoint.stream and request.batch_size is None,  # embeddings come whole
            response_path=endpoint.response_path,
            prompt=request.prompt,
            max_tokens=request.output_tokens_target,
            inputs=request.batch_size,
        )
        parsed.error_message = not_followed(exchange) or parsed.error_message
        return parsed
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        message = f"basetenkit failed to read this response ({what}); please report it with its bytes"
        return parse_response(b"", status=exchange.status or 0, failure=Failure(Outcome.MALFORMED, message))
