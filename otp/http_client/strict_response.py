"""How the JSON of a response is read: it is as untrusted as the body of a request."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class StrictResponse(BaseModel):
    """Members are in camelCase and have exactly the declared types; unknown members are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel, hide_input_in_errors=True)
