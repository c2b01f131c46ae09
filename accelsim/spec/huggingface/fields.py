"""The keys of one configuration, read with their aliases; what is wrong is collected, not raised one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from accelsim.errors import DescriptionError, Fault

Keys = tuple[str, ...]

# The names that the configuration classes of the transformers library give to one figure.
HIDDEN: Final[Keys] = ("hidden_size", "n_embd", "n_embed", "d_model")
LAYERS: Final[Keys] = ("num_hidden_layers", "n_layer", "num_layers")
HEADS: Final[Keys] = ("num_attention_heads", "n_head", "num_heads")
KV_HEADS: Final[Keys] = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
INTERMEDIATE: Final[Keys] = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "inner_hidden_size", "d_ff")
VOCABULARY: Final[Keys] = ("vocab_size",)
POSITIONS: Final[Keys] = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
EXPERTS: Final[Keys] = ("num_experts", "num_local_experts", "n_routed_experts")
ACTIVE: Final[Keys] = ("num_experts_per_tok",)

ACTIVATIONS: Final = {
    "silu": "silu", "swish": "silu", "gelu": "gelu_exact", "gelu_python": "gelu_exact", "gelu_new": "gelu",
    "gelu_fast": "gelu", "gelu_pytorch_tanh": "gelu", "relu": "relu", "relu2": "relu2",
}  # fmt: skip
"""Activation functions by their name in a configuration; `gelu` here is the tanh form, `gelu_exact` the erf form."""

_MOST_LAYERS = 10_000


class Fields:
    """A configuration dictionary whose getters note a fault and go on with a stand-in.

    A reader asks for everything it needs, calls `check`, and builds its records only then.

    Args:
        config: the dictionary of a `config.json`.
        origin: file or address, for the error.
        prefix: key path of the dictionary inside its file, such as `config.`.
    """

    def __init__(self, config: Mapping[str, object], origin: str, prefix: str = "") -> None:
        self._config, self._origin, self._prefix = config, origin, prefix
        self._faults: list[Fault] = []
        self._bad: set[Keys] = set()

    def fault(self, key: str, problem: str, value: object = None) -> None:
        """Note something that is wrong at a key."""
        found = Fault(self._prefix + key, problem, "" if value is None else repr(value))
        if found not in self._faults:
            self._faults.append(found)

    def check(self) -> None:
        """Raise what has been noted so far.

        Raises:
            DescriptionError: with every fault.
        """
        if self._faults:
            raise DescriptionError(self._origin, self._faults)

    def sound(self, *all_keys: Keys) -> bool:
        """Whether none of these figures had a fault, so that they may be compared with each other."""
        return not any(keys in self._bad for keys in all_keys)

    def has(self, keys: Keys) -> bool:
        """Whether the configuration gives this figure, be it null."""
        return any(key in self._config for key in keys)

    def get(self, key: str) -> object:
        """A value as written; None where it is absent."""
        return self._config.get(key)

    def size(self, keys: Keys, default: int | None = None) -> int:
        """A positive whole number; missing or null is a fault unless there is a default."""
        key, value = self._find(keys)
        if value is None:
            if default is not None:
                return default
            also = f" (or {', '.join(k for k in keys if k != key)})" if len(keys) > 1 else ""
            lack = "null" if self.has(keys) else "missing"
            self._note(keys, key, f"is {lack}{also}: expected a positive whole number")
            return 1
        return self._positive(keys, key, value)

    def size_or_none(self, keys: Keys, default: int | None = None) -> int | None:
        """A positive whole number, or None for null and for 0 (TOML has no null); `default` where the key is absent."""
        if not self.has(keys):
            return default
        key, value = self._find(keys)
        if value is None or (value == 0 and value is not False):
            return None
        return self._positive(keys, key, value)

    def layers(self, keys: Keys = LAYERS, default: int | None = None) -> int:
        """The number of layers."""
        count = self.size(keys, default)
        if count > _MOST_LAYERS:
            self._note(keys, self._find(keys)[0], f"more than {_MOST_LAYERS} layers", count)
            return 1
        return count

    def flag(self, key: str, default: bool) -> bool:
        """A true or false; null is the default."""
        value = self._config.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(key, "expected true or false", value)
            return default
        return value

    def fraction(self, key: str, value: object, default: float) -> float:
        """A number above 0 and at most 1; None is the default."""
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
            self.fault(key, "expected a number above 0 and at most 1", value)
            return default
        return float(value)

    def activation(self, keys: Keys, default: str) -> str:
        """The activation function in the words of `Mlp.activation`."""
        key, value = self._find(keys)
        return self.activation_named(key, default if value is None else value)

    def activation_named(self, key: str, value: object) -> str:
        """The activation function that a value at `key` names."""
        if isinstance(value, str) and value in ACTIVATIONS:
            return ACTIVATIONS[value]
        self.fault(key, f"unknown activation function; known: {', '.join(ACTIVATIONS)}", value)
        return "silu"

    def texts(self, key: str, allowed: Iterable[str], length: int) -> list[str] | None:
        """A list of `length` words out of `allowed`; None where it is absent."""
        value = self._config.get(key)
        if value is None:
            return None
        words = tuple(allowed)
        if not isinstance(value, (list, tuple)) or len(value) != length or any(word not in words for word in value):
            self.fault(key, f"expected a list of {length} words, one per layer, each of: {', '.join(words)}", value)
            return None
        return list(value)

    def numbers(self, key: str) -> list[int]:
        """A list of layer numbers counted from 0; empty where it is absent."""
        value = self._config.get(key)
        if value is None:
            return []
        if not isinstance(value, (list, tuple)) or any(isinstance(n, bool) or not isinstance(n, int) for n in value):
            self.fault(key, "expected a list of layer numbers", value)
            return []
        return list(value)

    def multiple(self, whole: Keys, whole_value: int, part: Keys, part_value: int, remedy: str) -> None:
        """Note a fault where one figure is not a multiple of another; silent where either is already faulty."""
        if self.sound(whole, part) and whole_value % part_value:
            key, other = self._find(whole)[0], self._find(part)[0]
            self._note(whole, key, f"is not a multiple of {other} = {part_value}: {remedy}", whole_value)

    def _find(self, keys: Keys) -> tuple[str, object]:
        """The alias that is used and its value; two aliases that disagree are a fault."""
        given = [(key, self._config[key]) for key in keys if self._config.get(key) is not None]
        if not given:
            return next((key for key in keys if key in self._config), keys[0]), None
        key, value = given[0]
        for other, contrary in given[1:]:
            if contrary != value:
                self._note(keys, other, f"disagrees with {key} = {value!r}, which means the same: keep one", contrary)
        return key, value

    def _positive(self, keys: Keys, key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self._note(keys, key, "expected a whole number without quotes or decimals", value)
            return 1
        if value < 1:
            self._note(keys, key, "must be 1 or more", value)
            return 1
        return value

    def _note(self, keys: Keys, key: str, problem: str, value: object = None) -> None:
        if keys in self._bad:  # a reader may ask for a figure more than once
            return
        self._bad.add(keys)
        self.fault(key, problem, value)
