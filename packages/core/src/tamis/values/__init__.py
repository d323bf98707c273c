"""What flows through a pipeline and what is asked of models: plain frozen values."""
