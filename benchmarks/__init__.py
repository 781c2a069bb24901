"""What is measured, against what: ``python -m benchmarks`` prints the table."""
