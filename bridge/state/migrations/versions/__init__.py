"""The migrations, oldest first. They never change once released, and import nothing of ours."""
