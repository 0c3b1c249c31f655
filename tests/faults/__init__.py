"""Whatever dies: every job tells the truth afterwards, and nothing was done twice."""
