"""What models that run in this process share: naming weights, grouping by length, reading logits."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Annotated, Any, ClassVar, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, ConfigDict, WithJsonSchema

from tamis.compute.config import read_config, read_folder
from tamis.compute.flops import Architecture
from tamis.errors import ConfigError, needed
from tamis.models.lazy import Lazy, once
from tamis.parts.permissions import Needs, weights
from tamis.values.calls import Capability

T = TypeVar("T")
LOCAL = ConfigDict(arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True)
SPEED_ONLY = frozenset({"max_batch", "device", "threads", "providers"})
CPU_TOKENS = 512
"""Padded tokens of a forward pass of torch on a CPU: its activations stay in the cache."""
ACCELERATOR_TOKENS = 16_384
"""Padded tokens of a pass on an accelerator."""


def _path_as_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, Path) else value


Weights = Annotated[Any, BeforeValidator(_path_as_text), BeforeValidator(weights), WithJsonSchema({"type": "string"})]
"""A folder, the name of a model in a hub, or an object already loaded."""
RemoteCode = Annotated[bool, Needs("code")]
"""Whether transformers may run code that comes with the weights."""


def _inside(name: str) -> str:
    parts = PurePath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or PurePath(name).is_absolute() or ":" in parts[0]:
        raise ValueError("must name a file inside the model's folder")
    return name


FileInside = Annotated[str, AfterValidator(_inside)]
"""A file in the folder of the weights, and nowhere else."""


class Local(Lazy):
    """Base of dataclasses whose first field names the weights. Loads at the first call; one batch at a time."""

    max_concurrency: ClassVar[int] = 1
    survive_fork: ClassVar[frozenset[str]] = frozenset({"cache_key", "_given_architecture", "_loaded_architecture"})
    capabilities: ClassVar[tuple[Capability, ...]]

    @property
    def _source(self) -> Any:
        return getattr(self, fields(cast(Any, self))[0].name)

    @property
    def name(self) -> str:
        """The name the weights go by: in the hub, or their folder's."""
        if not isinstance(self._source, str):
            return type(self._source).__name__
        path = Path(self._source)
        return path.resolve().name if path.is_dir() else self._source

    @once
    def cache_key(self) -> str | None:
        """Names the weights and every option that changes answers. `None` (never cached) for an object already loaded,
        since its owner may go on training it."""
        if not isinstance(self._source, str):
            return None
        options = {f.name: getattr(self, f.name) for f in fields(cast(Any, self))[1:] if f.name not in SPEED_ONLY}
        return f"{type(self).__name__}:{self.name}:{fingerprint(Path(self._source))}:{options}"

    @property
    def architecture(self) -> Architecture | None:
        """The shape of the weights, found without loading them; `None` for a kind that tamis cannot read.

        From the folder's `config.json` or the object given; for a name in a hub only once it is loaded.
        """
        if self._given_architecture is None and "_network" in self.__dict__:
            return self._loaded_architecture
        return self._given_architecture

    @once
    def _given_architecture(self) -> Architecture | None:
        if isinstance(self._source, str):
            return read_folder(Path(self._source))
        return read_config(self._config_of(self._source))

    @once
    def _loaded_architecture(self) -> Architecture | None:
        return read_config(self._config_of(self.__dict__["_network"]))

    def _config_of(self, network: Any) -> Any:
        """The transformers config of a loaded model."""
        return getattr(network, "config", None)


def fingerprint(folder: Path) -> str:
    """Digest of the names, sizes and times of the files in a folder; empty for a name in a hub."""
    if not folder.is_dir():
        return ""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        status = path.stat()
        digest.update(f"{path.relative_to(folder)}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def loaded(load: Callable[..., T], source: Any, **options: Any) -> T:
    """`load(source, **options)`, with a `ConfigError` that names the weights when they cannot be loaded."""
    try:
        return load(source, **options)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot load a model from {source!r}: {error}") from error


def torch_device(device: str | None) -> str:
    """`device`, else the first accelerator there is, else the CPU."""
    torch = needed("torch", "A local model", "transformers")
    if device:
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def pass_tokens(network: Any) -> int:
    """Padded tokens of one forward pass where `network`, of torch, lives."""
    return CPU_TOKENS if network.device.type == "cpu" else ACCELERATOR_TOKENS


def by_length(lengths: Sequence[int], size: int, tokens: float = math.inf, slack: float = 1.3) -> Iterator[list[int]]:
    """Positions in groups of similar length, longest first, so that little of a padded group is padding.

    A group has at most `size` members and, padded, at most `tokens` tokens (one that is longer is a group of its own).
    Its longest is at most `slack` times as long as its shortest, plus 8. Longest first: what runs side by side ends at
    about the same time, and memory is at its peak at once.
    """
    group: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        width = lengths[group[0]] if group else 0
        full = len(group) == size or (len(group) + 1) * width > tokens
        if group and (full or width > slack * lengths[position] + 8):
            yield group
            group = []
        group.append(position)
    if group:
        yield group


def cores() -> int:
    """Processor cores this process may use: those it is bound to, or what its container's quota comes to, if less."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return bound
    return bound if quota == "max" else max(1, min(bound, math.ceil(int(quota) / int(period))))


def log_sum_exp(values: Sequence[float]) -> float:
    """Log of the sum of probabilities given as logs; `-inf` for none."""
    return float(np.logaddexp.reduce(np.asarray(values, dtype=np.float64)))


def log_odds(logits: NDArray[Any], label: int = -1) -> list[float]:
    """One logit a row from `logits` of shape (rows, labels): the only one, or `label` against all the others."""
    logits = np.asarray(logits, dtype=np.float64).reshape(len(logits), -1)
    if logits.shape[1] == 1:
        return cast(list[float], logits[:, 0].tolist())
    others = np.delete(logits, label, axis=1)
    return cast(list[float], (logits[:, label] - np.logaddexp.reduce(others, axis=1)).tolist())
