"""What samples cost to make."""
