"""The exceptions, as a tree. Each message is one sentence: the error, its location, and how to correct it.

    try:
        run = await bk.run(config)
    except bk.errors.ConfigError as error:      # or bk.errors.BasetenkitError for all of them
        print(error)

    BasetenkitError
    ├── ConfigError (ValueError)     a RunConfig, an Endpoint, or a call's arguments
    │   ├── ScenarioError            a scenario string
    │   ├── MissingKeyError          an API key is required, but none was found
    │   ├── TokenizerError           a tokenizer that cannot be loaded or used
    │   └── DataError                a data set that cannot be found, read or used
    ├── StoreError                   a run folder that cannot be written, read or shared
    ├── WorkerError (RuntimeError)   a worker's process did not start
    ├── ForkError (RuntimeError)     a process that was forked after a run cannot run anything
    ├── NotAwaitedError (AttributeError)   a call such as bk.run(config) was used as if it had been awaited
    ├── GateError                    a measured run missed a limit that was set for it
    └── EmulatorError (RuntimeError) the embedded endpoint did not start

An endpoint's failures never raise an exception: they are in the rows and findings. These names are in `bk.errors`.
"""

from __future__ import annotations

from collections.abc import Sequence

Location = tuple[str, ...]


class BasetenkitError(Exception):
    """The base class of all exceptions of basetenkit."""


class ConfigError(BasetenkitError, ValueError):
    """The configuration is wrong; nothing has been sent.

    Parameters
    ----------
    message : the error and how to correct it, in one sentence.
    at : its location, from the model's name to the field: `("RunConfig", "endpoint", "url")`; empty if it concerns no field.
    errors : several (location, message) pairs, instead of the two parameters above.

    Attributes
    ----------
    errors : list of (location, message), one per error. The exception's text has one line for each.

    Examples
    --------
    >>> try:
    ...     RunConfig(endpoint="http://127.0.0.1/predict", repeats=0)
    ... except ConfigError as error:
    ...     location, message = error.errors[0]
    >>> location
    ('RunConfig', 'repeats')
    """

    def __init__(
        self, message: str = "", *, at: Location = (), errors: Sequence[tuple[Location, str]] | None = None
    ) -> None:
        self.errors = [(at, message)] if errors is None else list(errors)
        super().__init__("\n".join(f"{'.'.join(at)}: {said}" if at else said for at, said in self.errors))


class ScenarioError(ConfigError):
    """A traffic scenario does not follow the grammar."""


class MissingKeyError(ConfigError):
    """An endpoint on baseten.co needs a key, but there is none."""


class TokenizerError(ConfigError):
    """A tokenizer cannot be found, loaded or used."""


class DataError(ConfigError):
    """A data set cannot be found, read or used; nothing has been sent."""


class StoreError(BasetenkitError):
    """A run folder cannot be written, read or shared."""


class WorkerError(BasetenkitError, RuntimeError):
    """A worker's process did not start, or cannot be used."""


class ForkError(BasetenkitError, RuntimeError):
    """This process was forked after its parent used polars; nothing can be run here."""


class NotAwaitedError(BasetenkitError, AttributeError):
    """A call that must be awaited was used without `await`; nothing has been sent."""


class GateError(BasetenkitError):
    """A run was measured but missed one of its limits."""


class EmulatorError(BasetenkitError, RuntimeError):
    """The embedded endpoint did not start."""
