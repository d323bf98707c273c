"""Published and ready pipelines, one YAML file each."""
