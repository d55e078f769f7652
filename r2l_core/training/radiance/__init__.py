"""Teachers that learn from photographs."""
