"""What people said of samples, and how metrics agree with them."""
