"""What runs an operation on arrays, one module a device."""
