"""What a forward pass costs: shapes of transformers and their FLOPs."""
