"""Commands that make the pages and figures of docs/."""
