"""What streaming metrics count: sums and counts that stay exact over many batches and devices, and their quotients."""
