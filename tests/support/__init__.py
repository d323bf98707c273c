"""What tests share: scripted models, real servers on loopback, tiny models."""
