"""Configuration: one frozen dataclass per ini section, read once by `main()` or `create_app()`."""

from image_cloud.config.load import Check, ConfigError, config_from_environment, load_config
from image_cloud.config.sections import Config

__all__ = ["Check", "Config", "ConfigError", "config_from_environment", "load_config"]
