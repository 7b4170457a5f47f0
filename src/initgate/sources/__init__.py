"""Where the bytes of lists come from. The only outbound door of the core."""
