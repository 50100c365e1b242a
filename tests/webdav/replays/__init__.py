"""Request sequences of clients that cannot run here, each with its origin named."""
