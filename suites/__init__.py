"""Suite definitions as YAML; `geneval list suites` names them."""
