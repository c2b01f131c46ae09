"""A reader of plain Hugging Face `config.json` dictionaries: one vocabulary for some twenty families of models."""

from accelsim.spec.huggingface.reader import SUPPORTED, read_config, read_model_file

__all__ = ["SUPPORTED", "read_config", "read_model_file"]
