"""The optimizers under the laws, a file of rows for each family."""
