"""Looking after studies: what is damaged, and what can be drawn again."""
