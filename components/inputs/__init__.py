"""What a caller writes: arguments, their checks, and the settings read from them."""
