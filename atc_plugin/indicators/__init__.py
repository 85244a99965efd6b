"""ATC as an indicator of each framework: one file or more a framework, which no other file imports."""
